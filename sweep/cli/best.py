"""`sweep best`: the winner of a study, and how to use it."""

from typing import TYPE_CHECKING

from sweep.cli import options
from sweep.cli.report import print_json
from sweep.words import brief

if TYPE_CHECKING:
    from sweep.results import Study
    from sweep.trial import Trial


def best(name: options.StudyName, store: options.Store = None, json: options.Json = False) -> None:
    """Print the best trial of a study so far, and the lines of Python that load its network.

    Its parameters, its scores, and the file of its weights.

    Example: sweep best digits
    """
    from sweep.results import load

    study = load(name, store)
    found = study.best
    lines = _python(study, found, store)
    if json:
        print_json(
            "best",
            {"name": name, "metric": study.spec.train.metric, **found.record(), "python": lines},
        )
        return
    _print(study, found, lines)


def _print(study: "Study", found: "Trial", lines: list[str]) -> None:
    metric = study.spec.train.metric
    error = "" if found.standard_error is None else f" ± {found.standard_error:.4f}"
    rows = [
        ("trial", str(found.number)),
        *((f"  {name}", brief(value)) for name, value in found.params.items()),
        (f"validation {metric}", f"{found.value:.4f}{error}"),
    ]
    if found.test is not None:
        interval = (
            "" if found.interval is None else " (95 %: {:.4f} to {:.4f})".format(*found.interval)
        )
        rows.append((f"test {metric}", f"{found.test:.4f}{interval}"))
    rows += [(f"breaks {name}", f"by {by:.4g}") for name, by in found.violations.items()]
    if (confirmed := study.confirmation) is not None and confirmed.winner is not None:
        first = confirmed.standings[0]
        score = f"{study.spec.objectives[0]} {first.mean:.4f} on {first.rounds} fresh seeds"
        rows.append(("confirmed", f"trial {confirmed.winner}, {score} (sweep show has more)"))
    rows.append(("file", str(found.file) if found.file.is_file() else "none"))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    for line in ["", *lines]:
        print(line)


def _python(study: "Study", found: "Trial", store: str | None) -> list[str]:
    """Lines of Python that load the network, or the table where there is none."""
    place = "" if store is None else f", {str(study.place)!r}"
    head = ["import sweep", f"study = sweep.load({study.name!r}{place})"]
    if found.file.is_file():
        return [*head, "study.best.model.predict(X)  # raw rows in, labels or values out"]
    return [*head, "study.trials.sort_values('value')"]
