"""Tables of a study file as TOML with a comment at each key that says why."""

import json
import textwrap
from decimal import Decimal
from typing import Any, NamedTuple

from sweep.datasets.problems import on_one_line

WIDTH = 96
"""Of a line."""


class Choice(NamedTuple):
    """A key of the study file, its value, and why it has that."""

    key: str
    value: Any
    why: str = ""


def assignment(choice: Choice) -> list[str]:
    """A key and its value, with the reason beside it or, if that is long, above."""
    line = f"{toml_key(choice.key)} = {toml(choice.value)}"
    if not choice.why:
        return [line]
    if len(line) + len(choice.why) + 4 <= WIDTH:
        return [f"{line}  # {choice.why}"]
    return [*comment(choice.why), line]


def comment(text: str) -> list[str]:
    """Lines of comment; those of a paragraph that begins with a space are set off."""
    return [
        f"# {line}"
        for part in text.split("\n")
        for line in textwrap.wrap(
            on_one_line(part),
            WIDTH - 2,
            subsequent_indent="    " if part.startswith(" ") else "",
            break_long_words=False,
            break_on_hyphens=False,
            drop_whitespace=True,
            replace_whitespace=False,
        )
    ]


def toml_key(name: str) -> str:
    """A key as TOML writes it, in quotes where it must be."""
    is_bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if is_bare else toml(name)


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml_key(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        # As JSON, but for one character that only TOML does not allow.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float) and value and abs(value) < 1e-3:
        return f"{Decimal(repr(value)).normalize():e}"
    return str(value).lower() if isinstance(value, bool) else str(value)
