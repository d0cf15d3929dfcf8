"""The values that a key of a study file can have: constants, lists of choices, ranges."""

import difflib
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

T = TypeVar("T", bound=float)


def did_you_mean(name: str, known: tuple[str, ...]) -> str:
    """The end of an error about an unknown name: the nearest known one, if any is near."""
    close = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def one_of(*choices: str) -> AfterValidator:
    """A text that must be one of these."""

    def check(name: str) -> str:
        if name not in choices:
            allowed = ", ".join(choices)
            raise ValueError(f"must be one of {allowed}{did_you_mean(name, choices)}")
        return name

    return AfterValidator(check)


class Table(BaseModel):
    """A table of a study file: immutable, without unknown keys, and "5" or true is no number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Range(Table, Generic[T]):
    """The values from `low` to `high`, both included, in steps or drawn on a log scale."""

    low: T
    high: T
    log: bool = False
    step: T | None = None

    def __repr_name__(self) -> str:
        return "Range"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low must be at most high ({self.high})")
        if self.log and self.low <= 0:
            raise ValueError("low must be above 0 on a log scale")
        if self.step is not None:
            if self.log:
                raise ValueError("log and step exclude each other: leave one of them out")
            if self.step <= 0:
                raise ValueError("step must be above 0")
            # As written in the file: 0.3 is three steps of 0.1, which it is not in binary.
            low, high, step = (Decimal(str(x)) for x in (self.low, self.high, self.step))
            if high - low > 10**9 * step:
                raise ValueError("there must be at most 1e9 steps from low to high")
            if rest := (high - low) % step:
                last = type(self.high)(high - rest)
                raise ValueError(f"high must be low plus whole steps, such as {last}")
        return self


Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Whole = Annotated[int, Field(ge=0, le=2**31 - 1)]
Layers = Annotated[int, Field(ge=0, le=100)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _batch_size(value: object) -> object:
    # Not isinstance: true is no number.
    if value != "full" and not (type(value) is int and 1 <= value < 2**31):
        raise ValueError('must be a whole number of at least 1, or "full"')
    return value


BatchSize = Annotated[Any, AfterValidator(_batch_size)]


def _form(entry: object) -> str:
    if isinstance(entry, Mapping | Range):
        return "range"
    return "choices" if isinstance(entry, list | tuple) else "constant"


V = TypeVar("V")
R = TypeVar("R")
_Constant = Annotated[V, Tag("constant")]
# TOML's and JSON's lists become tuples; their items stay strict.
_Choices = Annotated[tuple[V, ...], Field(strict=False), Tag("choices")]
Entry = Annotated[_Constant[V] | Annotated[R, Tag("range")] | _Choices[V], Discriminator(_form)]
Names = Annotated[_Constant[str] | _Choices[str], Discriminator(_form)]


def check_choices(entry: Any) -> Any:
    """ValueError if a list of choices is empty, or has one twice."""
    if entry == ():
        raise ValueError("a list of choices needs at least one")
    if isinstance(entry, tuple) and len(set(entry)) < len(entry):
        raise ValueError("each choice must be given once")
    return entry


def _free_form(entry: object) -> str:
    if (form := _form(entry)) != "range":
        return form
    ends = entry.values() if isinstance(entry, Mapping) else (entry.low, entry.high)  # type: ignore[attr-defined]
    return "reals" if any(isinstance(end, float) for end in ends) else "integers"


# Of a user's own trainer, whose parameters can be anything that a study file can say.
Plain = bool | int | float | str
FreeEntry = Annotated[
    _Constant[Plain]
    | Annotated[Range[int], Tag("integers")]
    | Annotated[Range[float], Tag("reals")]
    | _Choices[Plain],
    Discriminator(_free_form),
    AfterValidator(check_choices),
]


def extremes(entry: Any) -> tuple[Any, ...]:
    """The two ends of a range, every one of a list of choices, or the constant."""
    if isinstance(entry, Range):
        return entry.low, entry.high
    return entry if isinstance(entry, tuple) else (entry,)
