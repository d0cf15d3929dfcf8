"""One table on unequal processors: kernels that this one has, forced on a training from outside."""

import json
import os
import platform
import subprocess
import sys

import pytest

from sweep.backends import portable
from sweep.errors import BackendError

on_x86 = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="kernels of x86-64 processors"
)

OLDER = {
    "OPENBLAS_CORETYPE": "Sandybridge",
    "NPY_DISABLE_CPU_FEATURES": " ".join(portable._features("found", "not found")),
}
"""As a processor without AVX2 and FMA3 would choose."""

TRAIN = """
import hashlib, json
from sweep.backends import portable
from tests.sweep.segments import iris
from trainer import TrainConfig, run

config = TrainConfig(neurons=(64, 64), activation="tanh", learning_rate=0.01, epochs=5)
_, state = run(config, iris(), 7)
digest = hashlib.sha256(state.parameters.tobytes()).hexdigest()
print(json.dumps([digest, portable.is_portable(), json.loads(portable.platform())]))
"""

ON_RAY = """
import json
from sweep.backends.ray import RayBackend
from tests.sweep.segments import curve, iris, trial
from trainer import TrainConfig

config = TrainConfig(neurons=(64, 64), activation="tanh", learning_rate=0.01, epochs=5)
with RayBackend((iris(),), cpus=1, portable=True) as backend:
    backend.submit(trial(config=config, rungs=(5,))[0])
    (result,) = backend.wait(timeout=60)
print(json.dumps([curve([result.report]), json.loads(result.report.platform)]))
"""


def printed(program, environment):
    """What a program prints that was started in this environment."""
    kept = {k: v for k, v in os.environ.items() if k not in OLDER}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@on_x86
def test_kernels_decide_about_the_last_bits_and_portable_ones_are_shared():
    """On other kernels a training ends otherwise; in the portable environment it has one end."""
    shared = portable.portable_environment()
    native, older = printed(TRAIN, {}), printed(TRAIN, OLDER)
    assert native[0] != older[0]
    assert older[2]["kernel"] == "Sandybridge"
    assert not older[1] or native[1]
    ends = [printed(TRAIN, environment | shared) for environment in ({}, OLDER)]
    assert ends[0] == ends[1]
    _, is_portable, described = ends[0]
    assert is_portable
    assert described["kernel"] == "Haswell"
    assert not {"X86_V4", "AVX512F", "AVX512_SKX"} & set(described["vectors"].split())


@on_x86
@pytest.mark.slow
def test_workers_of_a_portable_backend_agree_wherever_they_run():
    """Ray started on either set of kernels: its workers have the shared ones, and the same bits."""
    native, older = (printed(ON_RAY, environment) for environment in ({}, OLDER))
    assert native == older
    assert native[1]["kernel"] == "Haswell"


def test_portable_is_refused_where_its_kernels_do_not_exist(monkeypatch):
    """On another architecture the error says so, and what to do."""
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(BackendError, match=r"x86-64 processors, and this one is aarch64; leave it"):
        portable.portable_environment()


def test_the_platform_is_that_of_numpys_blas(monkeypatch):
    """Whichever comes first, NumPy's own library is described and not SciPy's."""
    numpys = {"user_api": "blas", "filepath": "/lib/numpy.libs/libblas.so", "architecture": "A"}
    others = {"user_api": "blas", "filepath": "/lib/a/libblas.so", "architecture": "B"}
    threads = {"user_api": "openmp", "filepath": "/lib/numpy/libgomp.so"}
    for found in ([threads, numpys, others], [others, threads, numpys]):
        monkeypatch.setattr(portable, "threadpool_info", lambda found=found: found)
        assert portable._blas() == numpys


def test_the_platform_is_one_text():
    """JSON with what a report compares; the same each time."""
    described = json.loads(portable.platform())
    assert described["processor"]
    assert described["numpy"]
    assert portable.platform() is portable.platform()
