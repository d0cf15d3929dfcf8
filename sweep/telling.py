"""What a confirmation found, in sentences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.leaders import Question, folds_of
from sweep.race import Race
from sweep.spec import StudySpec
from sweep.store import Row
from sweep.words import plural

CHANCE = 0.05
"""The probability to be the best from which on a leader is a rival of the winner."""

NAMED = 4
"""Rivals that are named."""


def sentences(
    spec: StudySpec, question: Question, race: Race, rows: Sequence[Row], result: Mapping[str, Any]
) -> Iterator[str]:
    """Who won, by how much, who may be as good, and how lucky the search was.

    `rows` are those of a Confirmation's table, the best first.
    """
    if not rows:
        yield _unheard(spec, question)
        return
    is_over, first, metric = "winner" in result, rows[0], spec.objectives[0]
    yield (
        _work(question, race, rows)
        if is_over
        else (
            f"{plural(len(rows), 'leader')} over {_seeds(question)}: {race.done} of {race.rounds} "
            "rounds are counted, and the same command goes on."
        )
    )
    if failed := sum(row["failed"] for row in rows):
        yield f"{failed} of the trainings did not come to their end and count as the worst of all."
    if first["mean"] is None:
        return
    error = first["standard_error"]
    said = f"Trial {first['trial']} {'is the best' if is_over else 'leads so far'}: {metric} "
    said += f"{_number(first['mean'])}{'' if error is None else f' ± {_number(error)}'}"
    if len(rows) == 1:
        yield f"{said}."
    else:
        yield f"{said}, with a probability of {chance(first['p_best'])} to be the best of them."
        if race.done < race.least:
            yield _few(race)
    if is_over and (rivals := [row for row in rows[1:] if row["p_best"] >= CHANCE]):
        yield _rivals(rivals)
    yield _luck(next(row for row in rows if row["trial"] == question.leaders[0]), first)
    if "test_score" in result:
        yield _test(spec, result)


def chance(probability: float) -> str:
    """In two digits, of which none says that anything is certain."""
    said = f"{probability:.2f}"
    return {"1.00": ">0.99", "0.00": "<0.01"}.get(said, said)


def command(spec: StudySpec, question: Question) -> str:
    """What to type to ask the question, or to go on with it."""
    folds = "" if question.folds == folds_of(spec) else f" --folds {question.folds}"
    top, seeds = len(question.leaders), len(question.seeds)
    return f"sweep confirm {spec.name} --top {top} --seeds {seeds}{folds}"


def _unheard(spec: StudySpec, question: Question) -> str:
    leaders, typed = plural(len(question.leaders), "leader"), command(spec, question)
    return f"{leaders} over {_seeds(question)}; no round is complete yet: {typed} goes on."


def _few(race: Race) -> str:
    rounds = "1 round is" if race.done == 1 else f"{race.done} rounds are"
    return f"{rounds} few: the probabilities are rough, and {race.least} or more tell more."


def _work(question: Question, race: Race, rows: Sequence[Row]) -> str:
    trained, most = sum(row["rounds"] for row in rows), len(rows) * race.rounds
    who = f"{plural(len(rows), 'leader')} {'was' if len(rows) == 1 else 'were'}"
    said = f"{who} trained over {_seeds(question)}, {trained} times in all"
    if not race.dropped:
        return f"{said}."
    return (
        f"{said}; {len(race.dropped)} dropped out early, which spared {most - trained} of {most} "
        f"trainings at a risk of {question.risk:.0%} to lose the best."
    )


def _seeds(question: Question) -> str:
    on = f" on {question.folds} folds" if question.folds > 1 else ""
    return f"{len(question.seeds)} fresh seeds{on}"


def _rivals(rivals: Sequence[Row]) -> str:
    named = ", ".join(f"{row['trial']} ({chance(row['p_best'])})" for row in rivals[:NAMED])
    more = f" and {len(rivals) - NAMED} more" if len(rivals) > NAMED else ""
    trials = "trial" if len(rivals) == 1 else "one of trials"
    return (
        f"The best may as well be {trials} {named}{more}: more seeds would part them, or it "
        "does not matter which is taken."
    )


def _luck(row: Row, first: Row) -> str:
    """What the search's own winner comes to."""
    won = "also won" if row is first else "won"
    said = f"Trial {row['trial']} {won} the search with {_number(row['original'])} and comes to "
    said += _number(row["mean"])
    if row["optimism"] > 0:
        return f"{said}: {_number(row['optimism'])} of that was luck."
    return f"{said}: its score had not been lucky."


def _test(spec: StudySpec, result: Mapping[str, Any]) -> str:
    low, high = result["test_low"], result["test_high"]
    interval = "" if low is None else f" (95 %: {_number(low)} to {_number(high)})"
    return (
        f"On the test rows the network of its first fresh seed has {spec.train.metric} "
        f"{_number(result['test_score'])}{interval}."
    )


def _number(value: float) -> str:
    return f"{value:.4f}" if 5e-4 <= abs(value) < 1e4 or not value else f"{value:.3g}"
