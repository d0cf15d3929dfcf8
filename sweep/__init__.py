"""Hyperparameter sweeps for neural networks on CPUs: the same table on one core or a thousand."""

from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

if TYPE_CHECKING:
    from sweep.comparison import compare
    from sweep.model import load_model
    from sweep.results import Study, load
    from sweep.results import list_ as list

__all__ = ["Study", "compare", "list", "load", "load_model"]

_HOMES = {
    "Study": ("sweep.results", "Study"),
    "compare": ("sweep.comparison", "compare"),
    "list": ("sweep.results", "list_"),  # which would hide Python's own there
    "load": ("sweep.results", "load"),
    "load_model": ("sweep.model", "load_model"),
}


def __getattr__(name: str) -> Any:
    # Imported when used: pandas and Optuna would make every command, and every worker, start late.
    if name not in _HOMES:
        raise AttributeError(f"module 'sweep' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    with catch_warnings():  # Optuna's import warns in notebooks without widgets, which need none
        filterwarnings("ignore", "IProgress not found")
        return getattr(import_module(module), attribute)
