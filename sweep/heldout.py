"""The rows that a study was made of, read again when they are asked for."""

from dataclasses import dataclass
from functools import cached_property

from sweep import datasets
from sweep.datasets import Preprocessing
from sweep.errors import SweepError, UsageError
from sweep.spec import StudySpec
from trainer import Dataset, Split


@dataclass(frozen=True)
class StudyRows:
    """Where a study's rows are, and what they were."""

    spec: StudySpec
    fingerprint: str

    @cached_property
    def first(self) -> tuple[Dataset, Preprocessing]:
        """The dataset of the first replicate, whose models are kept, and how it is read; SweepError
        if the rows have changed."""
        parts = datasets.load_parts(self.spec)
        if datasets.fingerprint(*(dataset for dataset, _ in parts)) != self.fingerprint:
            raise SweepError(
                f"the rows of {self.spec.data.name} are not those that {self.spec.name!r} began "
                "with; put them back, or give rows of your own to a model of its winner"
            )
        return parts[0]

    def held_out(self, on: str) -> Split:
        """The rows for "validation" or for "test"."""
        if on not in ("validation", "test"):
            raise UsageError(f'on must be "validation" or "test", not {on!r}')
        split: Split | None = getattr(self.first[0], on)
        if split is None:
            raise UsageError(f"study {self.spec.name!r} has no test rows; use its validation rows")
        return split
