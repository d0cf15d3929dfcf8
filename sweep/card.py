"""How a study shows itself in a notebook."""

from collections.abc import Mapping, Sequence
from html import escape
from math import inf
from typing import Any

import pandas as pd

from sweep import html
from sweep.advice import Advice
from sweep.advice.finding import costs_of, sign
from sweep.spec import StudySpec


def card(
    spec: StudySpec,
    state: str,
    counted: str,
    trials: pd.DataFrame,
    top: pd.DataFrame,
    best: Mapping[str, Any] | None,
    advice: Sequence[Advice],
) -> str:
    """A study as a piece of HTML, of its tables `trials` and `top`; `counted` says how many trials
    are in each state, `best` is `Best.record()`."""
    metric = spec.objectives[0]
    told = counted or "no trials yet"
    parts = [
        f'<div class="head"><b>{escape(spec.name)}</b><span>{escape(state)}</span>'
        f"<span>{escape(told)} of {spec.search.trials}</span></div>"
    ]
    if best is not None:
        named = {f"best {metric}": _with_error(best), "by": f"trial {best['number']}"}
        if best["test"] is not None:
            named[f"test {spec.train.metric}"] = _tested(best)
        steps = improvements(spec, trials)
        first, last = html.shown(steps[0][1]), html.shown(steps[-1][1])
        label = f"best {metric} so far over {len(trials)} trials, from {first} to {last}"
        parts += [html.facts(named), html.staircase(steps, len(trials), label)]
        parts.append(f"<small>{escape(label)}</small>")
        parts.append(html.table(_brief(spec, top), f"the {len(top)} best of {told}"))
    if advice:
        lines = "".join(html.advised(each.text, each.commands) for each in advice)
        parts.append(f"<ul>{lines}</ul>")
    return html.framed(f"study {spec.name}", *parts)


def improvements(spec: StudySpec, trials: pd.DataFrame) -> list[tuple[int, float]]:
    """After how many ended trials the first objective was better than before, and its value;
    of trials within the constraints or, where there is none, of all complete ones."""
    ended = trials[trials["datetime_complete"].notna()].sort_values(["datetime_complete", "number"])
    costs = costs_of(spec, ended)
    if costs.isna().all():
        costs = (sign(spec) * ended["value"]).where(ended["state"] == "COMPLETE")
    best = costs.fillna(inf).cummin()
    places = (best < best.shift(fill_value=inf)).to_numpy().nonzero()[0]
    return [(int(i) + 1, sign(spec) * float(best.iloc[i])) for i in places]


def _with_error(best: Mapping[str, Any]) -> str:
    error = best["standard_error"]
    return f"{best['value']:.4f}" + ("" if error is None else f" ± {error:.4f}")


def _tested(best: Mapping[str, Any]) -> str:
    interval = best["test_interval"]
    between = "" if interval is None else " (95 %: {:.4f} to {:.4f})".format(*interval)
    return f"{best['test']:.4f}{between}"


def _brief(spec: StudySpec, top: pd.DataFrame) -> pd.DataFrame:
    """The columns that say what a trial was and came to."""
    several = len(spec.objectives) > 1
    values = [f"values_{name}" for name in spec.objectives] if several else ["value"]
    broken = [f"violation_{name}" for name in spec.search.constraints]
    params = [name for name in top if name.startswith("params_")]
    kept = [name for name in broken if top[name].any()]
    kept += [name for name in params if top[name].notna().any()]
    names = {"number": "trial", **dict(zip(values, spec.objectives, strict=True))}
    names |= {name: name.removeprefix("params_") for name in kept}
    return top[[*names, "epochs"]].rename(columns=names)
