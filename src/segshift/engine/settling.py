"""A method made ready to train: on its device, in the layout and with the arithmetic that suit it there."""

import ctypes
from functools import cache

import torch

from segshift.engine.training_config import TrainingConfig
from segshift.methods import Method
from segshift.models.matrix_convolutions import use_matrix_products

# glibc's mallopt(3): when to give memory back to the system, and how many blocks come straight from it.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def settle(method: Method, training: TrainingConfig, device: torch.device) -> Method:
    """Move a method to its device, and there set layout and arithmetic as the recipe wants them.

    Returns:
        The method itself.
    """
    method.to(device)
    if training.channels_last:
        method.to(memory_format=torch.channels_last)
    if device.type == "cpu":
        keep_freed_memory()
        if training.convolutions == "auto" and training.precision == "fp32":
            use_matrix_products(method)
    return method


@cache
def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees for what comes next; False where the system cannot.

    Activations and gradients are large blocks. By default the C library takes each from the system and gives
    it back, and the system writes zeros over every page of it, hundreds of thousands a step.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        # Not glibc: macOS and Windows keep freed blocks in ways of their own.
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
