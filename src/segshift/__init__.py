"""segshift: domain adaptation for semantic segmentation."""

from typing import TYPE_CHECKING, Any

from segshift.version import __version__

if TYPE_CHECKING:
    from segshift.data.spec import DatasetSpec
    from segshift.engine.adapt import adapt
    from segshift.methods import Align, Batch, Method, Term, Update
    from segshift.models import Inference, Segmenter, load

_HOMES = {
    "Align": "segshift.methods",
    "Batch": "segshift.methods",
    "DatasetSpec": "segshift.data.spec",
    "Inference": "segshift.models",
    "Method": "segshift.methods",
    "Segmenter": "segshift.models",
    "Term": "segshift.methods",
    "Update": "segshift.methods",
    "adapt": "segshift.engine.adapt",
    "load": "segshift.models",
}

__all__ = [
    "Align",
    "Batch",
    "DatasetSpec",
    "Inference",
    "Method",
    "Segmenter",
    "Term",
    "Update",
    "__version__",
    "adapt",
    "load",
]


def __getattr__(name: str) -> Any:
    # Public names load when they are used: `segshift --help` need not wait for PyTorch.
    if name not in _HOMES:
        raise AttributeError(f"module 'segshift' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
