"""Which pixels of a prediction become pseudo labels: confidences per class, thresholds, selection."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from segshift.train_ids import IGNORE

Rule = Literal["none", "confidence", "class_threshold", "class_balanced"]
DEFAULT_PORTION = {"class_threshold": 0.5, "class_balanced": 0.2}
"""The median of BDL's thresholds, and the first round of CBST."""

# Confidences of trained networks crowd at 1, where a probability's digits end; their distance from 1, as the
# sum of the other classes' probabilities, keeps its digits. Bins are even in its logarithm: each spans a
# factor of 1.0034.
BINS = 8192
_SMALLEST_LOG10 = -12.0


def doubts(probs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The most probable class of every pixel and how much probability the others have.

    Args:
        probs: (N, K, H, W), sums to 1 over the classes.

    Returns:
        (N, H, W) each: class ids, the highest probability, and the bin, 0 ... BINS - 1, of the others' sum;
        bin 0 is the surest.
    """
    confidence, ids = probs.max(dim=1)
    doubt = probs.scatter(1, ids[:, None], 0.0).sum(dim=1)
    position = 1 - doubt.clamp_min(10**_SMALLEST_LOG10).log10() / _SMALLEST_LOG10
    return ids, confidence, (position * BINS).long().clamp(0, BINS - 1)


def bin_confidence(last_bin: int) -> float:
    """The lowest confidence of the pixels in bins 0 ... `last_bin`."""
    return 1.0 - float(10.0 ** (_SMALLEST_LOG10 * (1 - (last_bin + 1) / BINS)))


class ConfidenceHistogram:
    """How many pixels are predicted as each class, by confidence.

    Attributes:
        counts: (K, BINS) int64; bin 0 is the surest.
    """

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros((classes, BINS), dtype=torch.int64)

    def add(self, probs: Tensor) -> None:
        """Count the pixels of (N, K, H, W) probabilities."""
        ids, _, bins = doubts(probs)
        counted = torch.bincount((ids * BINS + bins).flatten(), minlength=self.counts.numel())
        self.counts += counted.view_as(self.counts).cpu()

    def last_bins(self, portion: float, min_share: float = 0.0) -> Tensor:
        """The bins up to which each class keeps at least `portion` of its pixels, the surest first.

        What is kept beyond the portion is less than the content of one bin.

        Args:
            portion: in (0, 1].
            min_share: a class that is predicted on less than this share of all pixels keeps nothing.

        Returns:
            (K,) int64; -1 for a class that keeps nothing.
        """
        totals = self.counts.sum(dim=1)
        enough = self.counts.cumsum(dim=1) >= (portion * totals.double())[:, None]
        last = enough.int().argmax(dim=1)
        return torch.where((totals > 0) & (totals >= min_share * totals.sum()), last, -1)


@dataclass(frozen=True)
class LabelChoice:
    """A rule with what it needs, ready to label.

    Attributes:
        rule: none keeps every pixel. confidence keeps those above `threshold`. class_threshold (BDL) keeps
            a class's surest share, and whatever reaches `threshold`. class_balanced (CBST) keeps a class's
            surest share.
        threshold: of confidence, and the upper limit of class_threshold.
        last_bins: (K,) of `ConfidenceHistogram.last_bins`; None for rules without classes.
        weigh_classes: class_balanced also weighs the classes by their thresholds, see `labels`.
    """

    rule: Rule
    threshold: float
    last_bins: Tensor | None = None
    weigh_classes: bool = True

    def class_thresholds(self, classes: int) -> list[float | None]:
        """The confidence from which on each class is kept; None for a class that keeps nothing or all."""
        if self.rule == "none":
            return [None] * classes
        if self.last_bins is None:
            return [self.threshold] * classes
        lowest = [None if last < 0 else bin_confidence(last) for last in self.last_bins.tolist()]
        if self.rule == "class_threshold":
            return [None if value is None else min(value, self.threshold) for value in lowest]
        return lowest

    def labels(self, probs: Tensor) -> tuple[Tensor, Tensor]:
        r"""Pseudo labels of a batch.

        class_balanced with weighed classes is CBST's rule: with the thresholds :math:`\lambda_k`, a pixel
        gets the class with the highest :math:`p_k / \lambda_k` if that is at least 1. This gives a rare
        class pixels on which a frequent one is more probable, but unsure for its kind. A network that is
        never sure of a class spreads that class too far by it.

        Args:
            probs: (N, K, H, W), sums to 1 over the classes.

        Returns:
            (N, H, W) int64 train ids with 255 for what is not kept, and (N, H, W) the class that each pixel
            has, kept or not: the one it is kept as, else the most probable.
        """
        ids, confidence, bins = doubts(probs)
        if self.rule == "none":
            return ids, ids
        if self.last_bins is None:
            return ids.where(confidence > self.threshold, IGNORE), ids
        last = self.last_bins.to(ids.device)
        kept = bins <= last[ids]
        if self.rule == "class_threshold":
            kept |= (confidence >= self.threshold) & (last[ids] >= 0)
        if self.rule == "class_threshold" or not self.weigh_classes:
            return ids.where(kept, IGNORE), ids
        labels = self._balanced(probs, ids, kept)
        return labels, labels.where(labels != IGNORE, ids)

    def _balanced(self, probs: Tensor, ids: Tensor, kept: Tensor) -> Tensor:
        thresholds = [float("inf") if v is None else v for v in self.class_thresholds(probs.shape[1])]
        ratios = probs / torch.tensor(thresholds, device=probs.device).view(1, -1, 1, 1)
        # Whether the most probable class passes is known better from its bin than from a ratio near 1.
        own = ratios.gather(1, ids[:, None])
        own = torch.where(kept[:, None], own.clamp_min(1.0), 0.0)
        best, labels = ratios.scatter(1, ids[:, None], own).max(dim=1)
        return labels.where(best >= 1, IGNORE)
