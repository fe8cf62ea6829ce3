"""Seeds as functions of where in a run one is, so that a resumed run draws what a straight one draws."""

import numpy as np
import torch


def derive_seed(*parts: int) -> int:
    """A 63-bit seed from non-negative integers; neighbours give unrelated seeds."""
    words = np.random.SeedSequence(parts).generate_state(2, np.uint32)
    return (int(words[0]) << 31) ^ int(words[1])


def seed_step(seed: int, step: int) -> None:
    """Set PyTorch's generators for one training step, alike in all processes: see `shared_batch`."""
    torch.manual_seed(derive_seed(seed, step, 0))
