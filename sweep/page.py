"""One HTML page that needs no network: tables and figures, everything escaped, nothing secret."""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from sweep.dataspec import name_of

POINTS = 2000
"""Of a trace, up to which each has its text."""

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>\\]+")


def public(text: str) -> str:
    """The text without the passwords and tokens of the URLs in it."""
    # The search for a scheme is slow in the figures' long texts.
    return URL.sub(lambda found: name_of(found[0]), text) if "://" in text else text


def text(value: object) -> str:
    """A value as it can stand in HTML."""
    return escape(public(shown(value)))


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None or value is pd.NA or value != value:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def section(name: str, title: str, *parts: str) -> str:
    """A part of the page that has something to say; nothing if it has not."""
    said = "\n".join(filter(None, parts))
    head = f'<h2 id="{name}-title">{text(title)}</h2>'
    of = f'id="{name}" aria-labelledby="{name}-title"'
    return f"<section {of}>\n{head}\n{said}\n</section>" if said else ""


def pairs(found: Iterable[tuple[str, object]]) -> str:
    """Names and values."""
    return "<dl>" + "".join(f"<dt>{text(n)}</dt><dd>{text(v)}</dd>" for n, v in found) + "</dl>"


def table(frame: pd.DataFrame, caption: str, long: Iterable[str] = ()) -> str:
    """A table whose columns can be sorted; texts of the columns `long` have several lines."""
    names = [str(name) for name in frame.columns]
    numeric = [pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes]
    kinds = [
        "" if is_number else ' class="text long"' if name in long else ' class="text"'
        for name, is_number in zip(names, numeric, strict=True)
    ]
    head = "".join(
        f'<th scope="col"{kind}><button type="button">{text(name)}</button></th>'
        for name, kind in zip(names, kinds, strict=True)
    )
    rows = (
        "".join(f"<td{kind}>{text(v)}</td>" for v, kind in zip(row, kinds, strict=True))
        for row in frame.astype(object).itertuples(index=False, name=None)
    )
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def figure(name: str, title: str, caption: str) -> str:
    """The place of a figure."""
    return (
        f'<figure><h3>{text(title)}</h3><div class="plot" data-figure="{name}" role="img" '
        f'aria-label="{text(title)}"></div><figcaption>{text(caption)}</figcaption></figure>'
    )


def page(title: str, body: str, figures: Mapping[str, go.Figure]) -> str:
    """The whole page; each of its scripts is allowed by its hash, and nothing else is loaded."""
    library, script = get_plotlyjs(), _file("page.js")
    hashes = " ".join(f"'sha256-{_hash(source)}'" for source in (library, script))
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    drawn = {name: _lean(each) for name, each in figures.items()}
    return Template(_file("page.html")).substitute(
        policy=policy,
        title=text(title),
        body=body,
        figures=public(json.dumps(drawn)).replace("<", "\\u003c"),
        library=library,
        script=script,
    )


def _lean(figure: go.Figure) -> dict[str, Any]:
    """A figure in JSON values: of many points without their texts, and drawn without WebGL, whose
    programs are made of texts, which the page's policy forbids."""
    made: dict[str, Any] = json.loads(figure.to_json())
    for trace in made["data"]:
        if trace["type"] == "scattergl":
            trace["type"] = "scatter"
        if _points(trace.get("x")) > POINTS:
            for key in ("text", "hovertext", "customdata", "hovertemplate"):
                trace.pop(key, None)
    made["layout"].pop("width", None)
    return made


def _points(values: Any) -> int:
    """Of an axis, as plotly writes one: a list, or bytes in base64."""
    if isinstance(values, dict):
        return len(values["bdata"]) // 8
    return len(values or ())


def _file(name: str) -> str:
    return (files("sweep") / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return b64encode(sha256(source.encode()).digest()).decode()
