"""What a study comes to by its fold and the formula alone, for comparison with what befell it."""

from typing import Any

from sweep import datasets, journal
from sweep.backends import Report
from sweep.backends.simulated import SimulatedBackend
from sweep.cost import Shape
from sweep.decisions import decisions
from sweep.rows import epoch_row, key
from sweep.spec import StudySpec
from sweep.steps import Await, Begin, Decide, Full, Promote, Turn
from tests.sweep import invariants
from tests.sweep.invariants import Table, Told, told


def undisturbed(spec: StudySpec, facts: Any, commands: Any) -> tuple[Table, list[Told]]:
    """The table and the decisions of a study, by the fold and the formula alone.

    `commands` are those on record for each step; `facts` are the reports, by segment, of what no
    other run would repeat.
    """
    parts = tuple(dataset for dataset, _ in datasets.load_parts(spec))
    trials: dict[int, dict[str, Any]] = {}
    epochs: list[dict[str, Any]] = []
    said: list[Told] = []
    steps, reply = decisions(spec, Shape.of(parts[0], spec.edition), {}), None
    with SimulatedBackend(parts, workers=1) as backend:
        while True:
            try:
                step = steps.send(reply)
            except StopIteration:
                break
            reply = None
            match step:
                case Await(segment=segment):
                    backend.submit(segment)
                    (result,) = backend.wait(1e9)
                    reply = result.report
                    if (fact := facts.get(key(segment))) is not None:
                        outcome, count = fact
                        reply = Report(records=reply.records[:count], outcome=outcome)
                    epochs += [epoch_row(segment, record) for record in reply.records]
                case Turn():
                    reply = commands.get(step.step, ())
                case Begin(trial=trial):
                    trials[trial.number] = {
                        "number": trial.number,
                        "params": trial.params,
                        "seed": trial.seed,
                        "predicted_cost": trial.predicted_cost,
                        **dict.fromkeys(("outcome", "value", "values", "standard_error")),
                        "constraints": None,
                        "state": "running",
                        "epochs": 0,
                    }
                case Promote(last=last):
                    trials[last.trial.number]["state"] = "running"
                case Decide():
                    trials[step.trial.number] |= {
                        "state": step.state,
                        "outcome": step.outcome,
                        "value": step.value,
                        "values": None if step.values is None else list(step.values),
                        "standard_error": step.standard_error,
                        "constraints": list(step.violations) or None,
                        "epochs": step.epochs,
                    }
                case Full():
                    said.append(("full", step.step, None, None, None))
            if isinstance(step, Begin | Promote | Decide):
                said.append(told(step))
    epochs = [row for row in epochs if row["epoch"] <= trials[row["trial"]]["epochs"]]
    epochs.sort(key=lambda row: (row["trial"], row["replicate"], row["epoch"]))
    return ([*trials.values()], [{c: row[c] for c in invariants.EPOCHS} for row in epochs]), said


def history(connection: Any) -> tuple[Any, Any, list[Told]]:
    """Of a record: the facts that no other run repeats, the commands, and the decisions."""
    facts = {}
    for trial, replicate, start, until, cause in connection.execute(
        "SELECT trial, replicate, start, until, cause FROM attempts WHERE accepted "
        "AND cause NOT IN ('finished', 'diverged')"
    ):
        (count,) = connection.execute(
            "SELECT count(*) FROM epochs WHERE trial = ? AND replicate = ? AND epoch > ? "
            "AND epoch <= ?",
            (trial, replicate, start, until),
        ).fetchone()
        facts[trial, replicate, start, until] = cause, count
    commands: dict[int, list[Any]] = {}
    said: list[Told] = []
    for event, step, trial, epoch, value, detail in connection.execute(
        "SELECT event, step, trial, epoch, value, detail FROM events WHERE step IS NOT NULL "
        "ORDER BY sequence"
    ):
        if event in journal.COMMANDS:
            made = journal.command(event, invariants._json(detail))
            commands.setdefault(step, []).append(made)
        else:
            said.append((event, step, trial, epoch, value))
    return facts, commands, said
