"""Which images a classifier is tested on, and how far its error can be trusted."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]

_STRETCHES = 2
# Share of a domain that is tested on where nothing else is asked for.
HELD_OUT_SHARE = 0.25
SMALLEST = 8
"""Fewer images of a domain than this are not enough for any of the classifiers."""


def hold_out(count: int, held_out: int, turn: int) -> tuple[Places, Places]:
    """Places of the training and the held-out images of one domain, whose images stand in recording order.

    Neighboring frames of a video are near-duplicates, so whole stretches are held out, and the frames next
    to them are not trained on either. Every turn holds out other stretches, until all images had theirs.

    Args:
        count: images of the domain.
        held_out: of them to test on.
        turn: 0 for the first seed, 1 for the second, ...

    Returns:
        Training and held-out places in 0..count - 1, each in order; at least one of both.
    """
    held_out = min(max(1, held_out), count - 1)
    stretches = min(_STRETCHES, held_out)
    test = np.zeros(count, bool)
    gap = np.zeros(count, bool)
    margin = max(1, count // 100) if count >= 4 * SMALLEST else 0
    for stretch in range(stretches):
        length = (stretch + 1) * held_out // stretches - stretch * held_out // stretches
        first = stretch * count // stretches
        room = (stretch + 1) * count // stretches - first
        start = turn * length % room
        inside = first + (start + np.arange(length)) % room
        test[inside] = True
        for place in inside.tolist():
            gap[max(0, place - margin) : place + margin + 1] = True
    train = np.flatnonzero(~test & ~gap)
    if not train.size:
        train = np.flatnonzero(~test)
    return train, np.flatnonzero(test)


def effective_count(images: int, sequences: Sequence[NDArray[np.float64]], trained: int) -> float:
    """How many independent images the held-out images are worth.

    n (1 - rho) / (1 + rho) / (1 + n / m). rho is the correlation of neighbors' errors (0 where it is
    negative), because a classifier is right or wrong about a whole scene of a video. m counts the images a
    classifier is trained on: what one seed tests on, others train on, so that their errors are no independent
    draws (Nadeau and Bengio, Inference for the generalization error, Machine Learning 2003). A single seed
    has no such share, and is never worth less than its own images.

    Args:
        images: n, different held-out images.
        sequences: for each seed and domain the errors of the held-out images in recording order.
        trained: m.

    Returns:
        Between 1 and n.
    """
    of_one_seed = sum(map(len, sequences[:2]))
    worth = float(images) if images <= of_one_seed else max(of_one_seed, images / (1 + images / trained))
    centered = [one - one.mean() for one in sequences if len(one)]
    total = sum(float((one**2).sum()) for one in centered)
    if images < 3 or total < 1e-12:
        return worth
    rho = max(0.0, sum(float((one[1:] * one[:-1]).sum()) for one in centered) / total)
    return max(1.0, worth * (1 - rho) / (1 + rho))


def wilson(error: float, count: float) -> tuple[float, float]:
    """The 95 % interval (Wilson) of an error that was found on `count` independent images."""
    z = 1.959964
    middle = (error + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(error * (1 - error) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def proxy_a_distance(error: float) -> float:
    """2 (1 - 2 error): 2 for domains that are always told apart, 0 at chance, below 0 only by chance.

    Source: Ben-David et al., Analysis of representations for domain adaptation, NeurIPS 2006.
    """
    return 2 * (1 - 2 * error)
