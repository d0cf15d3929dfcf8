"""`sweep validate`: whether a study file can be run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sweep.cli import options
from sweep.cli.exits import USAGE
from sweep.cli.report import print_json

if TYPE_CHECKING:
    from sweep.spec import StudySpec


def validate(
    file: options.StudyFile, changes: options.Set = None, json: options.Json = False
) -> None:
    """Check a study file and the data that it names, and say everything that is to be mended.

    Nothing is trained, and nothing written.

    Example: sweep validate studies/digits/study.toml
    """
    from sweep.errors import StudyFileError

    try:
        spec, data = _check(file, changes or [])
    except StudyFileError as error:
        if not json:
            raise
        problems = _problems(str(error))
        print_json("validate", {"file": str(file), "valid": False, "problems": problems})
        raise typer.Exit(USAGE) from None
    if json:
        found = {"file": str(file), "valid": True, "problems": [], "name": spec.name, "data": data}
        print_json("validate", found)
        return
    print(
        f"{file}: nothing to mend; {spec.name} is {spec.search.trials} trials of up to "
        f"{spec.train.epochs} epochs on {data['train_rows']} rows, with {data['validation_rows']} "
        f"to validate, {data['test_rows']} to test and {data['features']} features"
    )


def _check(file: Path, changes: list[str]) -> "tuple[StudySpec, dict[str, Any]]":
    """The spec, and its data's size; StudyFileError says every problem that was found."""
    from sweep import datasets, samplers, space, studyfile
    from sweep.errors import StudyFileError, SweepError

    spec = studyfile.load(file, changes)
    try:
        samplers.check(spec)
        parts = datasets.load_parts(spec)
        for dataset, _ in parts:
            space.check_data(spec, dataset)
    except SweepError as error:
        raise StudyFileError(f"{file}: {error}") from None
    dataset = parts[0][0]
    return spec, {
        "train_rows": len(dataset.train.x),
        "validation_rows": len(dataset.validation.x),
        "test_rows": 0 if dataset.test is None else len(dataset.test.x),
        "features": dataset.n_inputs,
        "outputs": dataset.n_outputs,
    }


def _problems(text: str) -> list[str]:
    """One for each key to mend, without the line that names the file."""
    first, *rest = text.splitlines()
    return [line.strip() for line in rest] or [first]
