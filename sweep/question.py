"""Whether a study file and a stored study ask the same question."""

from collections.abc import Mapping
from typing import Any

from sweep import samplers, space, studyfile
from sweep.backends import function
from sweep.budget import CLOCKED
from sweep.errors import StudyChanged, StudyFileError, UsageError
from sweep.model import is_sound, model_file
from sweep.spec import StudySpec
from sweep.store import Row, Store, artifacts
from sweep.warm import trials_of


def same_question(spec: StudySpec, data_fingerprint: str, known: Row, store: Store) -> StudySpec:
    """The stored study's spec, if it asks what the file asks; StudyChanged if it does not.

    How long a study goes on is no part of its question: more trials in the file extend it. It keeps
    the edition with which it began, unless the file names another.
    """
    if not store.count_trials(known["id"]):
        return spec  # it never began: the file may have been mended since
    stored = studyfile.from_json(known["spec"])
    spec = in_its_edition(spec, stored)
    search = stored.search.model_copy(update={"trials": spec.search.trials, **_budgets(spec)})
    # The same rows may be in another place by now: their fingerprint tells.
    data = stored.data.model_copy(update={"source": spec.data.source})
    same = studyfile.to_json(stored.model_copy(update={"search": search, "data": data}))
    changed = studyfile.differences(same, studyfile.to_json(spec))
    if not changed and known["data_fingerprint"] != data_fingerprint:
        changed = [f"the rows of {spec.data.name}: not those that the study began with"]
    if spec.edition != stored.edition:
        changed.append(
            "without an edition, in the file or from --set, it goes on with its own "
            "(docs/running.md, Editions)"
        )
    if changed:
        raise StudyChanged(
            f"study {spec.name!r} in {store.place} asks another question than the file:\n  "
            + "\n  ".join(changed)
            + "\nrun the file as a new study with --name NEW_NAME, or put the file back"
        )
    if spec.search.trials > stored.search.trials:
        budgets = {name: value for name, value in _budgets(spec).items() if value is not None}
        store.request(spec.name, "extend", {"trials": spec.search.trials, **budgets})
    return stored.model_copy(update={"data": data})


def in_its_edition(spec: StudySpec, stored: StudySpec) -> StudySpec:
    """A file's question in the edition of the stored study, unless it names one."""
    if "edition" in spec.model_fields_set:
        return spec
    return spec.model_copy(update={"edition": stored.edition})


def _budgets(spec: StudySpec) -> dict[str, float | None]:
    return {name: getattr(spec.search, name) for name in CLOCKED}


def is_done(known: Row, store: Store) -> bool:
    """Whether nothing is left to do: the study is complete, has its model, and is not extended."""
    best = known["best"]
    has_model = best is None or is_sound(model_file(artifacts(store.place, known["name"]), best))
    asked = any(request["request"] == "extend" for request in store.pending(known["id"]))
    own = studyfile.from_json(known["spec"]).train.function is not None
    return known["state"] == "complete" and (has_model or own) and not asked


def check(spec: StudySpec, store: Store, *, allow_code: bool) -> None:
    """Raise before anything is written if a study could not begin here."""
    check_code(spec, allow_code)
    samplers.check(spec)
    if spec.train.function is not None:
        try:
            function.find(spec.train.function)
        except ImportError as error:
            raise StudyFileError(f"train.{error}") from None
    if spec.search.warm_start is not None:
        trials_of(spec, spec.search.warm_start, store)


def check_code(spec: StudySpec, allowed: bool) -> None:
    if spec.train.function is not None and not allowed:
        raise UsageError(
            f'train.function = "{spec.train.function}" is code that the study would run; read it, '
            "and allow it with --allow-code"
        )


def edited(spec: StudySpec, changes: Mapping[str, Any]) -> StudySpec:
    """The question with a space that was changed, as a study file would have it."""
    changed = spec.model_copy(update={"space": space.edit(spec.space, changes)})
    return studyfile.from_json(studyfile.to_json(changed))


def extended(spec: StudySpec, limits: Mapping[str, Any]) -> StudySpec:
    """The same question with other limits to how long the study goes on."""
    search = spec.search.model_copy(update=dict(limits))
    return spec.model_copy(update={"search": search})
