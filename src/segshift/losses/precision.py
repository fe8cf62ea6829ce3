"""The number format in which losses are computed."""

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """`values`, as float32 if they come in half precision: logarithms and long sums lose too much there."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
