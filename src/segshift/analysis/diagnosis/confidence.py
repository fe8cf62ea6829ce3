"""How much less sure a network is of the target: a gap that shows without target labels."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ConfidenceDrop:
    """Mean highest probabilities, in [0, 1].

    Attributes:
        source: mean over the source's images.
        target: the same of the target.
        interval: 95 % interval of source minus target, every image an independent one.
    """

    source: float
    target: float
    interval: tuple[float, float]

    @property
    def drop(self) -> float:
        """Source minus target."""
        return self.source - self.target

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "source": self.source,
            "target": self.target,
            "drop": self.drop,
            "interval_95": list(self.interval),
        }


def confidence_drop(source: NDArray[np.float64], target: NDArray[np.float64]) -> ConfidenceDrop:
    """The difference of confidences, which follows the loss of accuracy under a shift.

    Args:
        source: (N,) mean confidence of every image, in [0, 1].
        target: (M,) the same.

    Source: Guillory et al., Predicting with Confidence on Unseen Distributions, ICCV 2021, section 4.
    """
    error = math.sqrt(source.var(ddof=1) / len(source) + target.var(ddof=1) / len(target))
    difference = float(source.mean() - target.mean())
    return ConfidenceDrop(
        float(source.mean()), float(target.mean()), (difference - 1.96 * error, difference + 1.96 * error)
    )
