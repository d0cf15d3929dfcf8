"""A study that runs as lines of text, for a terminal of any size."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep.cli.tally import Standing, Tally
from sweep.space import active
from sweep.spec import StudySpec
from sweep.words import plural

UNITS = ((1, "s"), (60, "min"), (3600, "h"))

LEVELS = "▁▂▃▄▅▆▇█"

STYLES = {"running": "cyan", "paused": "cyan", "complete": "green", "pruned": "yellow"}
FAILED = "red"

Part = tuple[str, str]
"""A text and its style."""


def picture(tally: Tally, width: int, height: int, now: float) -> RenderableType:
    """The study at a moment, in seconds since 1970; no line is longer than `width`, nor are there
    more lines than `height`.

    What there is no room for is left out: of a line its last parts, then whole lines.
    """
    lines = [*_head(tally, width, now)]
    room = height - len(lines)
    if room < 0:  # the bar, the counts and the best trial matter most
        lines = [*lines[1:], *lines[:1]][:height]
    failed = _failures(tally) if room >= 8 else []
    running = _running(tally, width, room - len(failed))
    return Group(*lines, *running, *failed)


def sparkline(values: Sequence[float], width: int) -> str:
    """Values as bars, the last of each stretch; the first tenth, which is chance, may be cut off.

    Low values are low bars.
    """
    count = min(width, len(values))
    shown = [values[(i + 1) * len(values) // count - 1] for i in range(count)]
    floor = values[len(values) // 10]
    low, high = min(min(shown[count // 10 :]), floor), max(shown)
    spread = high - low
    places = [0.0 if spread <= 0 else (value - low) / spread for value in shown]
    return "".join(LEVELS[max(0, min(7, int(8 * place)))] for place in places)


def headline(spec: StudySpec) -> str:
    """What the study does."""
    search = spec.search
    return (
        f"{spec.name}: {plural(search.trials, 'trial')} of up to "
        f"{plural(spec.train.epochs, 'epoch')} on "
        f"{spec.data.name}, {search.sampler}, {search.pruner}"
    )


def pace(tally: Tally, now: float) -> str:
    """Trials a second, and about how long it takes yet."""
    rate = tally.rate(now)
    return ", ".join([*([] if rate is None else [_rate(rate)]), *_left(tally, now)])


def _left(tally: Tally, now: float) -> list[str]:
    left = tally.left(now) if tally.running else None
    return [] if left is None else [f"about {duration(left)} left"]


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 3600:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    if seconds < 48 * 3600:
        return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"
    return f"{seconds / 86400:.1f} days"


def settings(spec: StudySpec, params: Mapping[str, Any]) -> list[str]:
    """The parameters that have an effect in a trial, as name=value."""
    return [
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in active(spec.space, params).items()
    ]


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if abs(value) < 1e5 else f"{value:.4g}"


def _head(tally: Tally, width: int, now: float) -> Iterator[RenderableType]:
    """The question, how much of it is done, the counts, the best trial."""
    yield Text(headline(tally.spec), style="bold", no_wrap=True, overflow="ellipsis")
    yield _bar(tally, width, now)
    yield _fitting(_counts(tally, now), width)
    if tally.best is not None:
        yield from _best(tally, tally.best, width)


def _bar(tally: Tally, width: int, now: float) -> RenderableType:
    done = f"{tally.total}/{tally.spec.search.trials + tally.refused} trials"
    since = [] if tally.ready is None else [duration(tally.seconds(now))]
    text = _joined([done, *since, *_left(tally, now)], width, "  ")
    bar = min(40, width - cell_len(text) - 2)
    if bar < 10:
        return Text(text, no_wrap=True, overflow="crop")
    row = Table.grid(padding=(0, 2, 0, 0))
    total = tally.spec.search.trials + tally.refused
    row.add_row(ProgressBar(total, tally.total, width=bar), Text(text, no_wrap=True))
    return row


def _counts(tally: Tally, now: float) -> Iterator[Part]:
    if not tally.cpus:
        yield f"starting {tally.backend} ...", "yellow"
        return
    if tally.state == "paused":
        yield "paused", "bold yellow"
    yield f"{len(tally.running)} running", STYLES["running"]
    if tally.paused:
        yield f"{len(tally.paused)} paused", STYLES["paused"]
    yield f"{tally.counts['complete']} complete", STYLES["complete"]
    yield f"{tally.counts['pruned']} pruned", STYLES["pruned"]
    if tally.counts["failed"]:
        yield f"{tally.counts['failed']} failed", FAILED
    if (rate := tally.rate(now)) is not None:
        yield _rate(rate), ""
    share = tally.share(now)
    yield plural(tally.cpus, "CPU") + ("" if share is None else f", {share:.0%} in training"), ""


def _rate(rate: float) -> str:
    seconds, unit = next(((s, u) for s, u in UNITS if rate * s >= 1), UNITS[-1])
    return f"{rate * seconds:.{1 if rate * seconds < 10 else 0}f} trials/{unit}"


def _best(tally: Tally, best: Standing, width: int) -> Iterator[RenderableType]:
    objective = tally.spec.objectives[0]
    title = f"best: trial {best.number}  {objective} {number(best.objective)}"
    line = Text(title, style="green", no_wrap=True, overflow="ellipsis")
    room = min(40, width - cell_len(title) - 2)
    if room >= 8 and len(tally.curve) > 1:
        line.append(f"  {sparkline(tally.curve, room)}")
    yield line
    if parameters := _joined(settings(tally.spec, best.params), width - 2, " "):
        yield Text(f"  {parameters}", style="green", no_wrap=True, overflow="crop")


def _running(tally: Tally, width: int, room: int) -> Iterator[RenderableType]:
    """A row for each running trial, as far as there is room, and how many more there are."""
    if not tally.running or room < 2:
        return
    rows = [_row(tally, trial) for _, trial in sorted(tally.running.items())]
    shown = rows if len(rows) < room else rows[: room - 2]
    metric = tally.spec.train.metric
    yield from _columns(("trial", "epoch", metric, "parameters"), shown, width)
    if len(shown) < len(rows):
        more = f"  and {len(rows) - len(shown)} more"
        yield Text(more, style="dim", no_wrap=True, overflow="crop")


def _row(tally: Tally, trial: Standing) -> tuple[str, str, str, list[str]]:
    sign, epochs = tally.signs.get(trial.number), tally.spec.train.epochs
    epoch, value = trial.epochs, trial.value
    if sign is not None and (sign.epoch >= epoch or trial.done == 0):
        epoch, value = sign.epoch, sign.value if sign.value is not None else value
    known = str(trial.number), f"{epoch}/{epochs}", number(value)
    return *known, settings(tally.spec, trial.params)


def _columns(
    heads: tuple[str, str, str, str],
    rows: Sequence[tuple[str, str, str, list[str]]],
    width: int,
) -> Iterator[Text]:
    """Columns right-aligned, the last ones dropped where they do not fit, and of the parameters
    as many as do."""
    texts = [(heads[:3], "dim"), *((row[:3], "") for row in rows)]
    widths = [max(cell_len(text[i]) for text, _ in texts) for i in range(3)]
    kept = next((n for n in (3, 2, 1) if sum(widths[:n]) + 2 * n <= width), 0)
    room = width - sum(widths) - 8
    for (text, style), last in zip(texts, [[heads[3]], *(row[3] for row in rows)], strict=True):
        line = "".join(f"  {text[i]:>{widths[i]}}" for i in range(kept))
        if kept == 3 and (parameters := _joined(last, room, " ")):
            line += f"  {parameters}"
        yield Text(line, style=style, no_wrap=True, overflow="crop")


def _failures(tally: Tally) -> list[Text]:
    """The last trials that failed or diverged, and why."""
    if not tally.failures:
        return []
    lines = [Text("last failures", style="dim", no_wrap=True, overflow="crop")]
    for trial in reversed(tally.failures):
        text = f"  {trial.number:>5}  {trial.outcome} after epoch {trial.epochs}"
        text += f": {trial.reason}" if trial.reason else ""
        lines.append(Text(text, style=FAILED, no_wrap=True, overflow="ellipsis"))
    return lines


def _fitting(parts: Iterator[Part], width: int) -> Text:
    """As many of the parts as fit in a line."""
    line = Text(no_wrap=True, overflow="crop")
    for text, style in parts:
        gap = "  " if line else ""
        if line.cell_len + cell_len(gap + text) > width:
            break
        line.append(gap).append(text, style=style)
    return line


def _joined(texts: Sequence[str], width: int, gap: str) -> str:
    """As many of the texts as fit in a line; an ellipsis for the rest if it fits too."""
    line = ""
    for i, text in enumerate(texts):
        longer = f"{line}{gap}{text}" if line else text
        rest = "" if i == len(texts) - 1 else f"{gap}…"
        if cell_len(longer + rest) > width:
            return f"{line}{gap}…" if line and cell_len(line) + len(gap) + 1 <= width else line
        line = longer
    return line
