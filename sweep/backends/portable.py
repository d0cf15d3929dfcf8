"""What decides about the last bits of a result, and the set of kernels that many machines share."""

import json
import platform as machine
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from sweep.errors import BackendError

KERNEL = "Haswell"
"""OpenBLAS's name for its kernels with AVX2 and FMA3."""

SHARED = {"SSSE3", "SSE41", "POPCNT", "SSE42", "AVX", "F16C", "FMA3", "AVX2", "X86_V2", "X86_V3"}
"""NumPy's names for what every x86-64-v3 processor has; before and since its version 2.4."""


def portable_environment() -> dict[str, str]:
    """The environment in which a process has the kernels of x86-64-v3, whatever its processor.

    It must be there before NumPy is loaded. BackendError where those kernels do not exist.
    """
    if machine.machine().lower() not in ("x86_64", "amd64"):
        raise BackendError(
            f"portable = true is for x86-64 processors, and this one is {machine.machine()}; "
            "leave it out: the table then holds for machines of this kind"
        )
    beyond = [feature for feature in _features("found", "not found") if feature not in SHARED]
    return {"OPENBLAS_CORETYPE": KERNEL, "NPY_DISABLE_CPU_FEATURES": " ".join(beyond)}


def is_portable() -> bool:
    """Whether this process has the kernels that `portable_environment` asks for."""
    return _blas().get("architecture") == KERNEL and SHARED.issuperset(_features("found"))


@cache
def platform() -> str:
    """This process as JSON: processor, BLAS, NumPy's vector functions, and versions."""
    blas = _blas()
    return json.dumps(
        {
            "processor": _processor(),
            "blas": f"{blas.get('internal_api')} {blas.get('version')}",
            "kernel": blas.get("architecture"),
            "vectors": " ".join(_features("baseline", "found")),
            "python": machine.python_version(),
            "numpy": np.__version__,
            "trainer": _version(),
        }
    )


def _features(*keys: str) -> list[str]:
    """NumPy's sets of instructions: `baseline`, and of those it can choose `found`, `not found`."""
    known: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    return [name for key in keys for name in known["SIMD Extensions"].get(key, [])]


def _blas() -> dict[str, Any]:
    """NumPy's: SciPy may have brought one of its own, and they come in no particular order."""
    found = [dict(each) for each in threadpool_info() if each["user_api"] == "blas"]
    return min(
        found, key=lambda each: (not _is_numpys(each["filepath"]), each["filepath"]), default={}
    )


def _is_numpys(file: str) -> bool:
    return any(part.startswith("numpy") for part in Path(file).parts)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, machine.processor() or machine.machine())


def _version() -> str | None:
    try:
        return metadata.version("sweep")
    except metadata.PackageNotFoundError:  # sent to a node that has not installed it
        return None
