"""The categories of a column: the common ones, and the rare ones, which share a place."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

Texts = NDArray[np.str_]


@dataclass(frozen=True, slots=True, eq=False)
class Categories:
    """What the training rows have in a column, in order; a missing value is the empty text."""

    common: Texts
    rare: Texts

    @classmethod
    def of(cls, texts: Iterable[tuple[str, int]], most: int) -> "Categories":
        """Those of texts and how often each occurs, in fewer than `most` places, or in so many of
        which the last is that of the rarest: scikit-learn's `max_categories`."""
        counts = Counter[str]()
        for text, count in texts:
            counts[text] += count
        known = np.array(sorted(counts, key=_order), dtype=np.str_)
        if len(known) < most:
            return cls(known, known[:0])
        rarest = np.argsort([counts[text] for text in known.tolist()], kind="stable")
        is_rare = np.isin(np.arange(len(known)), rarest[: len(known) - most + 1])
        return cls(known[~is_rare], known[is_rare])

    @property
    def names(self) -> list[str]:
        """Of the columns of `one_hot`."""
        return [text or "missing" for text in self.common.tolist()] + ["other"] * self._has_rare

    @property
    def _has_rare(self) -> bool:
        return len(self.rare) > 0

    def one_hot(self, texts: list[str]) -> NDArray[np.float32]:
        """(texts, names): 1 where it is; one that training had not is a rare one, or all 0."""
        encoder = OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            sparse_output=False,
            dtype=np.float32,
            **self._options(),
        )
        return np.asarray(self._fitted(encoder).transform(_column(texts)))

    def ordinal(self, texts: list[str]) -> NDArray[np.float64]:
        """(texts,): the place of each; one that training had not is a rare one, or -1."""
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, **self._options()
        )
        codes = np.asarray(self._fitted(encoder).transform(_column(texts)))[:, 0]
        return np.where(codes < 0, len(self.common), codes) if self._has_rare else codes

    def lack(self, texts: list[str]) -> NDArray[np.bool_]:
        """(texts,): which are none that training had."""
        return ~np.isin(np.array(texts, dtype=np.str_), [*self.common, *self.rare])

    def _options(self) -> dict[str, Any]:
        known = [*self.common.tolist(), *self.rare.tolist()]
        most = len(self.common) + 1 if self._has_rare else None
        return {"categories": [np.array(known, dtype=object)], "max_categories": most}

    def _fitted(self, encoder: Any) -> Any:
        # scikit-learn counts: the common ones occur twice, the rare ones once.
        common, rare = self.common.tolist(), self.rare.tolist()
        return encoder.fit(_column([*common, *common, *rare]))


def _column(texts: list[str]) -> NDArray[Any]:
    return np.array(texts, dtype=object).reshape(-1, 1)


def _order(text: str) -> tuple[bool, float, str]:
    """Numbers by their value, then texts."""
    try:
        value = float(text)
    except ValueError:
        return True, 0.0, text
    return (False, value, text) if np.isfinite(value) else (True, 0.0, text)
