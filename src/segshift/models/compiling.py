"""`torch.compile` of the networks of a method, and what to say where that fails."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from segshift.errors import InputError
from segshift.models.segmenter import Segmenter


def compile_networks(module: nn.Module, backend: str = "inductor") -> None:
    """Compile the backbones and classifiers of all segmenters in a module, in place.

    The work is done when they first see images, and again for images of other sizes. Names, weights and
    whatever hooks batch norm has stay as they are; a copy of the module is not compiled.

    Args:
        module: a method, with its teachers.
        backend: of `torch.compile`.
    """
    for segmenter in module.modules():
        if isinstance(segmenter, Segmenter):
            parts = (segmenter.backbone, segmenter.head, segmenter.second_head, segmenter.auxiliary_head)
            for part in filter(None, parts):
                part.compile(backend=backend)


@contextmanager
def compiler_faults() -> Iterator[None]:
    """Say in one line that a network could not be compiled. Raises InputError."""
    try:
        yield
    except RuntimeError as error:
        # By name: importing what defines them takes seconds.
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        # "backend=... raised:" is the first of them.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines[:2]) or "no reason given"
        raise InputError(
            f"training.compile: torch.compile failed on this machine ({reason}); set training.compile: false"
        ) from None
