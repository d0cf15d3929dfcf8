"""Pieces of HTML that show results: self-contained, escaped, readable on light and dark pages."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from numbers import Real
from typing import Any

import pandas as pd

STYLE = """<style>
.sweep { font: 13px/1.5 system-ui, sans-serif; max-width: 60rem; border: 1px solid #8885;
  border-radius: 6px; padding: .75rem 1rem; }
.sweep p, .sweep ul { margin: .4rem 0; padding: 0; list-style: none; }
.sweep .head { display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: baseline; }
.sweep .head b { font-size: 1.15em; }
.sweep .facts { display: flex; flex-wrap: wrap; gap: .2rem 2rem; margin: .5rem 0; }
.sweep dl div { display: flex; flex-direction: column; } .sweep dd { margin: 0; }
.sweep dt, .sweep caption, .sweep small { font-size: .9em; opacity: .8; }
.sweep dd { font-weight: 600; font-variant-numeric: tabular-nums; }
.sweep .wide { overflow-x: auto; }
.sweep table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0;
  font-size: inherit; color: inherit; }
.sweep caption { text-align: left; caption-side: top; padding: 0; }
.sweep table tr, .sweep table th, .sweep table td { background: none; color: inherit; }
.sweep th, .sweep td { padding: .15rem .6rem; text-align: right; white-space: nowrap;
  border: 0; border-bottom: 1px solid #8883; }
.sweep th:first-child, .sweep td:first-child { padding-left: 0; }
.sweep .text { text-align: left; }
.sweep code { background: #8882; color: inherit; padding: .05rem .3rem; border-radius: 3px; }
.sweep svg { display: block; width: 100%; max-width: 32rem; height: 3.5rem; }
</style>"""
"""For all that stands in an element of the class `sweep`; colours are those of the page."""


def shown(value: Any) -> str:
    """A cell in few digits, escaped; nothing where it is missing."""
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, bool) or not isinstance(value, Real):
        return escape(str(value))
    number = float(value)
    if number != number:
        return ""
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else f"{number:.4g}"


def table(frame: pd.DataFrame, caption: str) -> str:
    """A table of all rows, its first column the heads of the rows."""
    texts = [not pd.api.types.is_numeric_dtype(frame[name].dtype) for name in frame]
    marks = [' class="text"' if is_text else "" for is_text in texts]
    names = zip(marks, frame.columns, strict=True)
    head = "".join(f'<th scope="col"{mark}>{escape(str(name))}</th>' for mark, name in names)
    body = "".join(f"<tr>{_cells(row, marks)}</tr>" for row in frame.itertuples(index=False))
    return (
        f'<div class="wide" tabindex="0"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(row: Iterable[Any], marks: Sequence[str]) -> str:
    first, *others = (f"{mark}>{shown(value)}" for mark, value in zip(marks, row, strict=True))
    return f'<th scope="row"{first}</th>' + "".join(f"<td{cell}</td>" for cell in others)


def staircase(steps: Sequence[tuple[int, float]], end: int, label: str) -> str:
    """A line of values that each hold from a place on, to the place `end`; nothing for none."""
    if not steps:
        return ""
    low, high = min(value for _, value in steps), max(value for _, value in steps)
    width, height, margin = 400, 56, 4

    def at(place: int, value: float) -> tuple[float, float]:
        share = (value - low) / (high - low) if high > low else 0.5
        return width * place / max(1, end), height - margin - share * (height - 2 * margin)

    points, before = list[tuple[float, float]](), steps[0][1]
    for place, value in steps:
        points += [at(place, before), at(place, value)]
        before = value
    points.append(at(end, before))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}"><title>{escape(label)}</title>'
        '<polyline fill="none" stroke="currentColor" stroke-width="1.5" '
        f'vector-effect="non-scaling-stroke" points="{line}"/></svg>'
    )


def facts(named: Mapping[str, str]) -> str:
    """Names and what they are, side by side."""
    pairs = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in named.items()
    )
    return f'<dl class="facts">{pairs}</dl>'


def advised(text: str, commands: Iterable[str]) -> str:
    """A sentence of advice, and what to type."""
    typed = "".join(f" <code>{escape(command)}</code>" for command in commands)
    return f"<li>{escape(text)}{typed}</li>"


def framed(label: str, *parts: str) -> str:
    """Parts of HTML as one, with a frame and the style that they need."""
    return f'{STYLE}<section class="sweep" aria-label="{escape(label)}">{"".join(parts)}</section>'
