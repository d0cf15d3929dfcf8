"""What can be wrong with a table of data, in words for those whose table it is."""

from collections.abc import Mapping

from sweep.errors import StudyFileError


class DataProblem(StudyFileError):
    """A table that cannot be read as it is: what is wrong, and what to do about its study file.

    `mend` are keys of `[data]` with which it might be read.
    """

    def __init__(self, what: str, mend: Mapping[str, str] | None = None, advice: str = "") -> None:
        super().__init__(f"{what}{advice}")
        self.what = what
        self.advice = advice
        self.mend = dict(mend or {})


def shown(value: object) -> str:
    """A value of a table in quotes, shortened, on one line."""
    text = str(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    return f'"{on_one_line(text)}"'


def listed(names: tuple[str, ...], most: int = 12) -> str:
    """Names in a sentence; of very many, the first ones."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return on_one_line(", ".join(names[:most]) + more)


def on_one_line(text: str) -> str:
    """A text without line ends and other characters that do not print."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
