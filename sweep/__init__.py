"""Hyperparameter sweeps for neural networks on CPUs: the same table on one core or a thousand."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.model import load_model
    from sweep.results import Study, load

__all__ = ["Study", "load", "load_model"]


def __getattr__(name: str) -> Any:
    # Imported when used: pandas and Optuna would make every command, and every worker, start late.
    if name == "load_model":
        from sweep.model import load_model

        return load_model
    if name in __all__:
        from sweep import results

        return getattr(results, name)
    raise AttributeError(f"module 'sweep' has no attribute {name!r}")
