"""Analyses of trained segmenters and the pages that show them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segshift.analysis.class_centres import ClassCenters, class_centre_distance
    from segshift.analysis.retrieval import cross_domain_retrieval

_HOMES = {
    "ClassCenters": "segshift.analysis.class_centres",
    "class_centre_distance": "segshift.analysis.class_centres",
    "cross_domain_retrieval": "segshift.analysis.retrieval",
}

__all__ = ["ClassCenters", "class_centre_distance", "cross_domain_retrieval"]


def __getattr__(name: str) -> Any:
    # The pages of this package need neither NumPy nor PyTorch, and a command that writes one starts at once.
    if name not in _HOMES:
        raise AttributeError(f"module 'segshift.analysis' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
