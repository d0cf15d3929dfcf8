"""Imports point one way: the order of design.md, and who may know what."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ORDER = [
    "trainer.memory",
    "trainer.activations",
    "trainer.gradients",
    "trainer.losses",
    "trainer.initializers",
    "trainer.schedules",
    "trainer.classification",
    "trainer.regression",
    "trainer.metrics",
    "trainer.norms",
    "trainer.regularizers",
    "trainer.network",
    "trainer.passes",
    "trainer.optimizers",
    "trainer.lbfgs",
    "trainer.arguments",
    "trainer.embeddings",
    "trainer.config",
    "trainer.effects",
    "trainer.dataset",
    "trainer.prediction",
    "trainer.progress",
    "trainer.state",
    "trainer.layout",
    "trainer.statistics",
    "trainer.batches",
    "trainer.updates",
    "trainer.descent",
    "trainer.training",
    "trainer.stack",
    "trainer.replicates",
    "trainer.curve",
    "trainer.diagnosis",
    "trainer.understanding",
    "trainer.archive",
    "trainer.checkpoint",
    "trainer.onnx",
    "trainer.modelfile",
    "trainer.rows",
    "trainer.inputs",
    "trainer.mlp",
    "trainer.estimators",
    "trainer",
    "sweep.errors",
    "sweep.entries",
    "sweep.spacespec",
    "sweep.dataspec",
    "sweep.spec",
    "sweep.studyfile",
    "sweep.conditions",
    "sweep.space",
    "sweep.datasets.problems",
    "sweep.datasets.values",
    "sweep.datasets.memory",
    "sweep.datasets.fetch",
    "sweep.datasets.delimited",
    "sweep.datasets.typed",
    "sweep.datasets.arrays",
    "sweep.datasets.bundled",
    "sweep.datasets.formats",
    "sweep.datasets.files",
    "sweep.datasets.columns",
    "sweep.datasets.task",
    "sweep.datasets.categories",
    "sweep.datasets.scaling",
    "sweep.datasets.measures",
    "sweep.datasets.reading",
    "sweep.datasets.targets",
    "sweep.datasets.preprocessing",
    "sweep.datasets.splits",
    "sweep.datasets.survey",
    "sweep.datasets.loading",
    "sweep.datasets",
    "sweep.predictor",
    "sweep.significance",
    "sweep.assessment",
    "sweep.onnx",
    "sweep.heldout",
    "sweep.model",
    "sweep.cost",
    "sweep.speed",
    "sweep.commented",
    "sweep.proposal",
    "sweep.store.schema",
    "sweep.store.lease",
    "sweep.store.location",
    "sweep.store.folder",
    "sweep.store.silence",
    "sweep.store.databases",
    "sweep.store.migrations",
    "sweep.store.patience",
    "sweep.store.batch",
    "sweep.store.rollback",
    "sweep.store.reader",
    "sweep.store.record",
    "sweep.store",
    "sweep.store.health",
    "sweep.fingerprint",
    "sweep.backends.segment",
    "sweep.backends.function",
    "sweep.backends.portable",
    "sweep.backends.compute",
    "sweep.backends",
    "sweep.backends.serial",
    "sweep.backends.cluster",
    "sweep.backends.mailbox",
    "sweep.backends.ray",
    "sweep.backends.formula",
    "sweep.backends.simulated",
    "sweep.draws",
    "sweep.samplers",
    "sweep.search",
    "sweep.pruners",
    "sweep.steps",
    "sweep.verdict",
    "sweep.decisions",
    "sweep.rows",
    "sweep.journal",
    "sweep.checkpoints",
    "sweep.dispatch",
    "sweep.warm",
    "sweep.budget",
    "sweep.question",
    "sweep.verify",
    "sweep.overview",
    "sweep.rebuilt",
    "sweep.importances",
    "sweep.bootstrap",
    "sweep.race",
    "sweep.leaders",
    "sweep.noise",
    "sweep.advice.finding",
    "sweep.advice.budget",
    "sweep.advice.failures",
    "sweep.advice.ranges",
    "sweep.advice.parameters",
    "sweep.advice.steps",
    "sweep.advice.length",
    "sweep.advice.luck",
    "sweep.advice.pruning",
    "sweep.advice",
    "sweep.doctor.finding",
    "sweep.doctor.installation",
    "sweep.doctor.machine",
    "sweep.doctor.record",
    "sweep.doctor",
    "sweep.winner",
    "sweep.control",
    "sweep.loop",
    "sweep.orchestrator",
    "sweep.retrainings",
    "sweep.racing",
    "sweep.confirming",
    "sweep.plan",
    "sweep.diagnoses",
    "sweep.tables",
    "sweep.html",
    "sweep.ledger",
    "sweep.recorded",
    "sweep.plots.style",
    "sweep.plots.shown",
    "sweep.plots.clock",
    "sweep.plots.as_optuna",
    "sweep.plots.panels",
    "sweep.plots.values",
    "sweep.plots.learning",
    "sweep.plots.survival",
    "sweep.plots.searched",
    "sweep.plots.seconds",
    "sweep.plots.fronts",
    "sweep.plots",
    "sweep.card",
    "sweep.surrogate",
    "sweep.course",
    "sweep.replay",
    "sweep.strategies",
    "sweep.retrain",
    "sweep.trial",
    "sweep.telling",
    "sweep.confirmation",
    "sweep.backends.starting",
    "sweep.results",
    "sweep.difference",
    "sweep.comparison",
    "sweep.captions",
    "sweep.notebook",
    "sweep.page",
    "sweep.report",
    "sweep.predictions",
    "sweep.sinks",
    "sweep.gallery",
    "sweep.cli.exits",
    "sweep.cli.report",
    "sweep.cli.options",
    "sweep.cli.tally",
    "sweep.cli.picture",
    "sweep.cli.display",
    "sweep.cli.summary",
    "sweep.cli.watch",
    "sweep.cli.accounts",
    "sweep.cli.plan",
    "sweep.cli.control",
    "sweep.cli.found",
    "sweep.cli.init",
    "sweep.cli.run",
    "sweep.cli.confirm",
    "sweep.cli.show",
    "sweep.cli.predict",
    "sweep.cli.verify",
    "sweep.cli.validate",
    "sweep.cli.look",
    "sweep.cli.best",
    "sweep.cli.plot",
    "sweep.cli.document",
    "sweep.cli.doctor",
    "sweep.cli.app",
    "sweep.cli",
    "sweep.cli.__main__",
]
"""A module may import only from those above it. `sweep/__init__` hands on names when asked."""

ONLY = {
    "ray": {f"sweep.backends.{module}" for module in ("cluster", "mailbox", "ray")},
    "optuna": {
        "sweep.space",
        "sweep.draws",
        "sweep.samplers",
        "sweep.rebuilt",
        "sweep.importances",
        "sweep.tables",
        "sweep.recorded",
        "sweep.surrogate",
        "sweep.results",
        *(f"sweep.plots.{module}" for module in ("as_optuna", "searched", "values")),
    },
    "sqlalchemy": {module for module in ORDER if module.startswith("sweep.store.")},
    "pandas": {
        *(module for module in ORDER if module.startswith("sweep.datasets.")),
        "sweep.predictor",
        "sweep.significance",
        "sweep.assessment",
        "sweep.model",
        "sweep.trial",
        "sweep.predictions",
        "sweep.sinks",
        *(module for module in ORDER if module.startswith("sweep.advice")),
        "sweep.tables",
        "sweep.html",
        "sweep.card",
        "sweep.ledger",
        "sweep.recorded",
        "sweep.replay",
        "sweep.strategies",
        "sweep.confirmation",
        "sweep.results",
        *(module for module in ORDER if module.startswith("sweep.plots.")),
        "sweep.comparison",
        "sweep.page",
        "sweep.report",
        "sweep.cli.summary",
        "sweep.cli.accounts",
    },
    "sklearn": {
        *(module for module in ORDER if module.startswith("sweep.datasets.")),
        "sweep.model",
        "trainer.estimators",
        "trainer.inputs",
        "trainer.mlp",
        "sweep.surrogate",
    },
    "pyarrow": {
        *(module for module in ORDER if module.startswith("sweep.datasets.")),
        "sweep.sinks",
        "sweep.store.folder",
    },
    "plotly": {
        *(module for module in ORDER if module.startswith("sweep.plots")),
        "sweep.replay",
        "sweep.strategies",
        "sweep.comparison",
        "sweep.gallery",
        "sweep.page",
        "sweep.report",
    },
    "typer": {module for module in ORDER if module.startswith("sweep.cli.")},
}
"""The packages that only these modules may know."""

TABLES = ("activations", "gradients", "initializers", "schedules", "classification", "regression")
ALONE = {f"trainer.{name}" for name in TABLES}
"""Tables of pure functions, which import nothing of ours."""


def module_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_of(f): f for package in ("trainer", "sweep") for f in (ROOT / package).rglob("*.py")
}


def imported(module):
    """Everything that a module imports, in full, wherever in its file."""
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in FILES else str(node.module) for name in names)


def test_every_module_has_its_place():
    """The order above names each module of ours, and no other."""
    assert sorted(ORDER) == sorted(FILES.keys() - {"sweep"})


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_one_way(module):
    """A module imports only from those above it; the lowest import nothing of ours."""
    above = set() if module in ALONE else {*ORDER[: ORDER.index(module)], "sweep", "trainer"}
    if module.startswith("trainer"):
        above = {name for name in above if name.startswith("trainer.")}
    ours = {name for name in imported(module) if name.split(".")[0] in ("sweep", "trainer")}
    assert ours <= above


@pytest.mark.parametrize("package", ONLY)
def test_each_library_is_known_where_it_belongs(package):
    """Ray, Optuna, the database and the rest are imported by the modules named and no others."""
    users = {m for m in FILES if any(n.split(".")[0] == package for n in imported(m))}
    assert users <= ONLY[package]
