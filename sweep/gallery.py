"""Figures as files: pages that need no network, pictures, and a page with all of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from importlib.util import find_spec
from pathlib import Path

import plotly.graph_objects as go
from plotly import io
from plotly.offline import get_plotlyjs

from sweep.errors import UsageError, first_line

SCRIPT = "plotly.min.js"
"""The library that the pages of a folder share."""

WIDTH, HEIGHT = 1200, 700
"""Of a picture, in pixels, for a figure that says nothing of its own."""

NEEDED = (
    "PNG takes kaleido (pip install 'sweep[png]') and Chrome or Chromium (apt-get install "
    "chromium, or plotly_get_chrome); without them, leave --png out for pages"
)

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>body {{ font-family: sans-serif; margin: 1em 2em }} section {{ overflow-x: auto }}</style>
<script src="{script}"></script>
<h1>{title}</h1>
<p>{links}</p>
{figures}
</html>
"""


def write_folder(
    figures: Mapping[str, go.Figure], title: str, folder: Path, *, png: bool = False
) -> Iterator[Path]:
    """Write a page for each figure, its picture if asked, and index.html; the files as they come.

    UsageError if the folder cannot be written, or pictures cannot be made on this machine.
    """
    with _errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SCRIPT).write_text(get_plotlyjs(), encoding="utf-8")
        for name, figure in figures.items():
            page = folder / f"{name}.html"
            figure.write_html(page, include_plotlyjs="directory")
            yield page
    if png:
        yield from write_pictures({folder / f"{name}.png": f for name, f in figures.items()})
    with _errors(folder):
        index = folder / "index.html"
        index.write_text(_index(figures, title), encoding="utf-8")
        yield index


def write_file(figure: go.Figure, file: Path) -> None:
    """Write one figure as a page or a picture, by the ending of the file's name."""
    if file.suffix == ".png":
        list(write_pictures({file: figure}))
        return
    with _errors(file):
        figure.write_html(file, include_plotlyjs=True)


def write_pictures(figures: Mapping[Path, go.Figure]) -> Iterator[Path]:
    """Write figures as PNG; UsageError says what to install where that cannot be done."""
    if find_spec("kaleido") is None:
        raise UsageError(NEEDED)
    all_figures = list(figures.values())
    try:
        io.write_images(
            all_figures,
            list(figures),
            width=[figure.layout.width or WIDTH for figure in all_figures],
            height=[figure.layout.height or HEIGHT for figure in all_figures],
            scale=2,
        )
    except RuntimeError as error:  # no browser, or one that does not start
        raise UsageError(f"{NEEDED}: {first_line(error)}") from None
    yield from figures


def _index(figures: Mapping[str, go.Figure], title: str) -> str:
    """A page with all figures."""
    parts = {
        name: io.to_html(figure, include_plotlyjs=False, full_html=False)
        for name, figure in figures.items()
    }
    return PAGE.format(
        title=escape(title),
        script=SCRIPT,
        links=" · ".join(f'<a href="{name}.html">{name}</a>' for name in parts),
        figures="\n".join(f'<section id="{name}">{part}</section>' for name, part in parts.items()),
    )


@contextmanager
def _errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {place}: {error.strerror or error}") from error
