"""A study that learns from the trials of another one in its store."""

from sweep import space, studyfile
from sweep.errors import StudyFileError
from sweep.journal import Journal
from sweep.spec import StudySpec
from sweep.steps import Params
from sweep.store import Lease, Row, Store

Known = list[tuple[Params, list[float]]]


def warm_start(spec: StudySpec, store: Store, lease: Lease, journal: Journal) -> Known:
    """Parameters and values of the other study's complete trials that fit into this one's space.

    They become part of this study's record when it begins, so that it does not matter what
    becomes of the other. StudyFileError if there is no such study, or it is of other objectives.
    """
    name = spec.search.warm_start
    if name is None:
        return []
    events = store.events(lease.study)
    recorded = next((row["detail"] for row in events if row["event"] == "warm_start"), None)
    if recorded is None:
        recorded = {"study": name, "trials": trials_of(spec, name, store)}
        journal.remark("warm_start", **recorded)
        journal.flush()
    return [(trial["params"], trial["values"]) for trial in recorded["trials"]]


def trials_of(spec: StudySpec, name: str, store: Store) -> list[Row]:
    """Parameters and values of another study's trials, as `warm_start`."""
    other = store.find(name)
    if other is None:
        raise StudyFileError(f'search.warm_start = "{name}": there is no such study in the store')
    asked = studyfile.from_json(other["spec"])
    if asked.objectives != spec.objectives:
        raise StudyFileError(
            f'search.warm_start = "{name}": it searches for {", ".join(asked.objectives)}, and '
            f"this study for {', '.join(spec.objectives)}"
        )
    distributions = space.distributions(spec.space)
    return [
        {"params": params, "values": row["values"] or [row["value"]]}
        for row in store.trials(other["id"])
        if row["state"] == "complete"
        and (params := {name: row["params"].get(name) for name in distributions})
        and all(space.contains(kind, params[name]) for name, kind in distributions.items())
    ]
