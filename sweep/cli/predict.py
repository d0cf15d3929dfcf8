"""`sweep predict`: what a study's model says of new rows."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli import options
from sweep.words import plural

if TYPE_CHECKING:
    from sweep.dataspec import DataSpec
    from sweep.model import Model
    from sweep.predictions import Seen
    from sweep.results import Study

STDIN = "-"


def predict(
    name: options.StudyName,
    input: Annotated[
        str, typer.Option(metavar="FILE", help="The rows, in any format of a study; - is stdin.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write, .csv or .parquet; CSV to stdout by default."),
    ] = None,
    trial: Annotated[
        int | None, typer.Option(min=0, help="The trial whose model it is; the winner by default.")
    ] = None,
    confirmed: Annotated[
        bool, typer.Option("--confirmed", help="The network of the confirmed winner instead.")
    ] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="A column for the probability of each class.")
    ] = False,
    store: options.Store = None,
) -> None:
    """Predict the target of new rows with the best model of a study.

    The file has the columns that the study was trained on, in any order. Those that the model does
    not read, such as identifiers, are passed through. If the target is among them, the score is
    told as well.

    Example: sweep predict houses --input new.csv --output predictions.csv
    """
    from sweep import predictions
    from sweep.datasets import Odd, files
    from sweep.datasets.problems import DataProblem
    from sweep.dataspec import name_of
    from sweep.errors import UsageError
    from sweep.results import load
    from sweep.sinks import check_apart, sink

    study = load(name, store)
    if output is not None:
        check_apart(output, {"the input": input, **study.files})
    model = _model(study, trial, confirmed)
    kinds, file = predictions.kinds(model), "the input" if input == STDIN else name_of(input)
    data = study.spec.data.model_copy(update={"source": input, "columns": kinds})
    blocks = files.blocks(
        sys.stdin.buffer if input == STDIN else input, data, otherwise="categorical"
    )
    seen = predictions.Seen()
    try:
        with sink(output) as write:
            for table in predictions.predict(
                model, blocks, seen, file, probabilities=probabilities
            ):
                write(table)
    except Odd as odd:
        place = f"{file}, row {odd.row + 1}" if input == STDIN else files.place(data, odd.row)
        raise UsageError(
            f'{place}: column "{odd.column}" holds {odd.text}, which is not {odd.needed}, as the '
            "column was in training; mend it, or leave it empty if it is missing"
        ) from None
    except DataProblem as problem:
        if not problem.advice:
            raise
        raise UsageError(
            f"{problem.what}; write it as the study's file is: {_written(data)}"
        ) from None
    for line in _told(study, model, seen, output):
        print(line, file=sys.stderr)


def _written(data: "DataSpec") -> str:
    """How text files of a study are written."""
    delimiter = "" if data.delimiter is None else f", values parted by {data.delimiter!r}"
    return f"charset {data.charset}{delimiter}, decimal point {data.decimal!r}"


def _model(study: "Study", trial: int | None, confirmed: bool) -> "Model":
    from sweep.errors import UsageError

    if confirmed:
        found = study.confirmation
        if trial is not None or found is None or found.winner is None:
            raise UsageError(
                "--confirmed needs a study that is confirmed, and no --trial: sweep confirm "
                f"{study.name} confirms it"
            )
        return found.model
    if trial is None:
        return study.best.model
    chosen = study.trial(trial)
    if not chosen.file.is_file() and study.spec.train.function is None:
        print(f"training trial {trial} again: only the winner's weights are kept", file=sys.stderr)
    return chosen.model


def _told(study: "Study", model: "Model", seen: "Seen", output: Path | None) -> list[str]:
    """What is worth knowing of the predictions."""
    written = "" if output is None else f", written to {output}"
    lines = [f"{plural(seen.rows, 'row')} predicted{written}"]
    for column, count in seen.unseen.items():
        common = model.preprocessing.reading.categories[column]
        taken = "for a rare one" if len(common.rare) else "for none that it knows"
        lines.append(
            f'note: in {count} of them column "{column}" holds a category that training had not; '
            f"the model takes it {taken}"
        )
    if seen.odd is not None:
        lines.append(f"no score: the target in {seen.odd}")
    if (score := seen.score(model)) is not None:
        count = sum(map(len, seen.targets))
        metric = study.spec.train.metric
        lines.append(f"{metric} of the {count} rows with a target: {score:.4f}")
    return lines
