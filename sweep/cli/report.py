"""Results as JSON: one object on stdout, whose keys docs/json.md explains."""

import json
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any


def print_json(schema: str, record: Mapping[str, Any]) -> None:
    """Print an object of `sweep.SCHEMA/1`; a number that is none, and a time, as JSON has them."""
    print(json.dumps({"schema": f"sweep.{schema}/1", **_plain(record)}, indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float():
            return value if isfinite(value) else None
        case datetime():
            return value.isoformat()
        case None | bool() | int() | str():
            return value
    return str(value)
