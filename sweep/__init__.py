"""Hyperparameter sweeps for neural networks on CPUs: the same table on one core or a thousand."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.results import Study, load
    from sweep.results import list_ as list

__all__ = ["Study", "list", "load"]

_NAMES = {"list": "list_"}  # in a module of ours it would hide Python's own


def __getattr__(name: str) -> Any:
    # Imported when used: pandas and Optuna would make every command, and every worker, start late.
    if name in __all__:
        from sweep import results

        return getattr(results, _NAMES.get(name, name))
    raise AttributeError(f"module 'sweep' has no attribute {name!r}")
