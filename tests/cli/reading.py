"""Reading the documents that commands print."""

from typing import Any


def numbers(value: Any) -> list[float]:
    """All numbers of a document, wherever they stand."""
    if isinstance(value, dict):
        return [x for part in value.values() for x in numbers(part)]
    if isinstance(value, list):
        return [x for part in value for x in numbers(part)]
    return [float(value)] if isinstance(value, int | float) else []
