"""Python, the packages, and the library of matrix products."""

import platform
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from threadpoolctl import threadpool_info

from sweep.doctor.finding import OK, PROBLEM, WARNING, Finding, Findings, Patient

EXTRAS = (
    ("kaleido", "png", "figures as PNG"),
    ("torch", "gp", "the sampler gp"),
    ("onnx", "onnx", "networks as ONNX files"),
)


def versions(_: Patient) -> Findings:
    """Python, and the packages that are always needed."""
    python = platform.python_version()
    wanted = metadata.requires("sweep") or []
    wrong = [said for text in wanted if (said := _mismatch(Requirement(text)))]
    said = f"sweep {metadata.version('sweep')}, Python {python}, {len(wanted)} requirements"
    if wrong:
        yield Finding(
            "installation",
            PROBLEM,
            "; ".join(wrong),
            "pip install --upgrade sweep, or pip install -c constraints.txt in a checkout",
        )
        return
    yield Finding("installation", OK, said)


def _mismatch(requirement: Requirement) -> str:
    """What is wrong with a package that is always needed; nothing if it fits."""
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return ""
    try:
        found = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement} is missing"
    if requirement.specifier.contains(found, prereleases=True):
        return ""
    return f"{requirement.name} {found} is not {requirement.specifier}"


def extras(_: Patient) -> Findings:
    """What only some need."""
    for package, extra, use in EXTRAS:
        there = find_spec(package) is not None
        said = f"{package} {'is there' if there else 'is not installed'}: {use}"
        advice = "" if there else f"if you need it: pip install 'sweep[{extra}]'"
        yield Finding(f"extra {extra}", OK, said, advice)


def blas(_: Patient) -> Findings:
    """NumPy's library of matrix products, and SciPy's."""
    libraries = [each for each in threadpool_info() if each["user_api"] == "blas"]
    if not libraries:
        yield Finding(
            "BLAS",
            WARNING,
            "NumPy's library of matrix products is unknown; each worker may use every CPU",
            "install NumPy from PyPI: pip install --force-reinstall numpy",
        )
    for each in libraries:
        kernel = each.get("architecture", "unknown kernels")
        name, version = each["internal_api"], each["version"]
        user = Path(each["filepath"]).parent.name.removesuffix(".libs")
        yield Finding(
            "BLAS",
            OK,
            f"{name} {version} ({user}), {kernel}, {each['num_threads']} threads here; "
            "a worker uses one",
        )
