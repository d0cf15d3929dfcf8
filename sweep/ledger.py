"""Where the time of a study went."""

from dataclasses import dataclass

import pandas as pd

from sweep import html
from sweep.store import Columns, Row

MEANING = {
    "asking": "proposing parameters",
    "queued": "waiting in the driver",
    "starting": "waiting for a worker",
    "loading": "fetching data and state",
    "training": "epochs in the trainer",
    "reporting": "returning the report",
    "waiting": "waiting for virtual order",
}
"""What becomes of a trial's time."""

PARTS = tuple(MEANING)
"""The parts of a trial's time, in seconds: its parameters are proposed; its segments wait in the
driver, and for a worker to take them up; data and state arrive; epochs are trained; the report
returns; it waits for its turn in virtual order."""


@dataclass(frozen=True, slots=True, repr=False)
class Ledger:
    """The seconds of each trial and of the study, and how much of the cluster trained."""

    trials: pd.DataFrame
    """A row for each trial: `trial`, PARTS in seconds, and `predicted`, what was predicted for the
    epochs that were trained."""
    cpu_seconds: float
    """CPUs times the seconds for which they were there, over all sessions."""
    sessions: int
    """How often the study was run."""
    recording: float
    """Seconds that its drivers waited for the store."""
    recording_median: float | None
    """Of them for a trial's end, in the median of the last session."""
    slowness: float
    """The seconds of training for one that was predicted, in the median of trials; NaN before
    there are any."""
    band: tuple[float, float]
    """Between which multiples of that the middle 80 % of trials lie."""

    @property
    def total(self) -> "pd.Series[float]":
        """The seconds of all trials together, for each part."""
        return self.trials[list(PARTS)].sum()

    @property
    def share(self) -> float:
        """The share of the cluster's CPU time in which trials trained; NaN before there is any."""
        return (
            float(self.total["training"] / self.cpu_seconds) if self.cpu_seconds else float("nan")
        )

    @property
    def parts(self) -> pd.DataFrame:
        """A row for each part: `part`, its `meaning`, its `seconds` in all trials together, and the
        `milliseconds` of a trial in the mean."""
        total = self.total
        frame = pd.DataFrame({"part": list(MEANING), "meaning": list(MEANING.values())})
        frame["seconds"] = total[frame["part"]].to_numpy()
        return frame.assign(milliseconds=1000 * frame["seconds"] / max(1, len(self.trials)))

    def __repr__(self) -> str:
        parts = self.parts.to_string(index=False, float_format="{:.2f}".format)
        return f"<Ledger: {self._said}>\n{parts}"

    def _repr_html_(self) -> str:
        return html.framed("ledger", html.table(self.parts.round(2), self._said))

    @property
    def _said(self) -> str:
        said = f"{len(self.trials)} trials"
        if self.cpu_seconds:
            said += f", {self.share:.1%} of {self.cpu_seconds:.1f} CPU seconds trained"
        return said


def ledger(
    trials: Columns,
    attempts: pd.DataFrame,
    events: pd.DataFrame,
    sessions: list[Row],
    epochs: int,
) -> Ledger:
    """The ledger of a record whose trials have at most so many epochs; of the trials it takes
    `number`, `asking`, `predicted_cost` and `epochs`."""
    parts = pd.DataFrame(
        {
            "trial": attempts["trial"],
            "queued": _seconds(attempts, "queued", "sent"),
            "starting": _seconds(attempts, "sent", "started"),
            "loading": _seconds(attempts, "started", "loaded"),
            "training": attempts["training"],
            "reporting": _seconds(attempts, "finished", "received"),
            "waiting": _waiting(attempts, events),
        }
    )
    shares = pd.Series(trials["epochs"], dtype="float64").fillna(0.0) / epochs
    known = pd.DataFrame(
        {
            "trial": pd.Series(trials["number"], dtype="int64"),
            "asking": pd.Series(trials["asking"], dtype="float64"),
            "predicted": pd.Series(trials["predicted_cost"], dtype="float64") * shares,
        }
    )
    summed = known.merge(parts.groupby("trial").sum().reset_index(), how="left", on="trial")
    frame = summed[["trial", *PARTS, "predicted"]].fillna(0.0)
    slowness, band = _beside(frame["training"], frame["predicted"])
    return Ledger(
        frame,
        sum(map(_cpu_seconds, sessions)),
        len(sessions),
        sum(row["recording"] or 0.0 for row in sessions),
        sessions[-1]["recording_median"] if sessions else None,
        slowness,
        band,
    )


def _beside(
    seconds: "pd.Series[float]", predicted: "pd.Series[float]"
) -> tuple[float, tuple[float, float]]:
    """The median of seconds beside those predicted, and the middle 80 % as multiples of it."""
    known = (seconds > 0) & (predicted > 0)
    low, middle, high = (seconds[known] / predicted[known]).quantile([0.1, 0.5, 0.9])
    return float(middle), (float(low / middle), float(high / middle))


def _seconds(frame: pd.DataFrame, begin: str, end: str) -> "pd.Series[float]":
    return (frame[end] - frame[begin]).dt.total_seconds().clip(lower=0)


def _waiting(attempts: pd.DataFrame, events: pd.DataFrame) -> "pd.Series[float]":
    """Seconds from when a segment's report was there to when it was decided."""
    decided = events[events["epoch"].notna()].drop_duplicates(["trial", "epoch"])
    decided = decided[["trial", "epoch", "time"]].astype({"trial": "int64", "epoch": "int64"})
    # One that ended before its rung, diverged or by patience, is decided at the epoch that it had.
    found = pd.merge_asof(
        attempts[["trial", "start", "until"]].reset_index().sort_values("until", kind="stable"),
        decided.sort_values("epoch", kind="stable"),
        left_on="until",
        right_on="epoch",
        by="trial",
    ).set_index("index")
    then = found["time"].where(found["epoch"] > found["start"]).reindex(attempts.index)
    seconds = (then - attempts["received"]).dt.total_seconds().clip(lower=0)
    return seconds.where(attempts["accepted"])


def _cpu_seconds(session: Row) -> float:
    if session["ready"] is None or session["ended"] is None:
        return 0.0
    return float(session["cpus"] * (session["ended"] - session["ready"]).total_seconds())
