"""segshift: domain adaptation for semantic segmentation."""

from typing import TYPE_CHECKING

from segshift.lazy import on_demand
from segshift.version import __version__

if TYPE_CHECKING:
    from segshift.data.spec import DatasetSpec
    from segshift.engine.adapt import adapt
    from segshift.engine.torch_data import write_dataset
    from segshift.engine.train import train
    from segshift.evaluation.evaluate import evaluate
    from segshift.methods import Align, Batch, Method, Term, Update
    from segshift.models import Inference, Segmenter, load

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
    "evaluate",
    "load",
    "train",
    "write_dataset",
]

# Public names load when they are used: `segshift --help` need not wait for PyTorch.
__getattr__ = on_demand(__name__, __file__)
