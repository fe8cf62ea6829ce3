"""Scores of a network that need no labels: how sure, how varied and how stable its predictions are.

None of them measures correctness. A network that answers everything with one class is sure, dense and stable;
`information_maximization` and `bnm` punish that, the others do not. `segshift.engine.health` watches for it.
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.evaluation.confusion import confusion_matrix, miou


@dataclass(eq=False)
class ProbabilitySums:
    """What the scores of a stream of pixels need, in constant memory and float64.

    Attributes:
        classes: C.
        pixels: how many were added.
    """

    classes: int
    pixels: int = 0
    _entropy: float = 0.0
    _confidence: float = 0.0
    _total: Tensor = field(init=False)
    _gram: Tensor = field(init=False)
    _predicted: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._total = torch.zeros(self.classes, dtype=torch.float64)
        self._gram = torch.zeros(self.classes, self.classes, dtype=torch.float64)
        self._predicted = torch.zeros(self.classes, dtype=torch.float64)

    def add(self, probs: Tensor) -> None:
        """Add pixels: (P, C) probabilities that sum to 1 over the classes. Raises ValueError."""
        if probs.ndim != 2 or 0 in probs.shape:
            raise ValueError(
                f"ProbabilitySums.add: needs (P, C) of at least one pixel, not {tuple(probs.shape)}"
            )
        # To the CPU first: not every accelerator has float64.
        probs = probs.cpu().double()
        self.pixels += len(probs)
        self._entropy += float(torch.special.entr(probs).sum())
        largest, predicted = probs.max(dim=1)
        self._confidence += float(largest.sum())
        self._total += probs.sum(dim=0)
        self._gram += probs.T @ probs
        self._predicted += torch.bincount(predicted, minlength=self.classes)

    def entropy(self) -> float:
        r"""How unsure a network is, on average: :math:`-\frac{1}{P \log C} \sum_v \sum_c p_{vc} \log p_{vc}`.

        In [0, 1]; lower is better, 1 is the uniform distribution everywhere.

        Source: Morerio et al., Minimal-entropy correlation alignment, ICLR 2018, where it selects models.
        """
        return self._entropy / self.pixels / _log_classes(self.classes)

    def information_maximization(self) -> float:
        r"""Mutual information of pixel and class: :math:`(H(\bar p) - \overline{H(p)}) / \log C`.

        Here :math:`\bar p` is the mean of the P distributions, H the entropy: sure per pixel, varied over
        all. In [0, 1]; higher is better, 0 when every pixel has the same distribution.

        Source: Krause et al., Discriminative clustering by regularized information maximization, NeurIPS
        2010.
        """
        marginal = float(torch.special.entr(self._total / self.pixels).sum())
        return marginal / _log_classes(self.classes) - self.entropy()

    def bnm(self) -> float:
        r"""The sum of the singular values of the prediction matrix: :math:`\|P\|_* / \sqrt{P \min(P, C)}`.

        Large when predictions are sure (large Frobenius norm) and varied (high rank). In (0, 1]; higher is
        better. 1 for one-hot predictions of equally frequent classes; :math:`1 / \sqrt C` for one-hot
        predictions of a single class when P >= C.

        Source: Cui et al., Towards discriminability and diversity: batch nuclear-norm maximization, CVPR
        2020. The divisor is the largest value that the norm can take.
        """
        # The squares of a matrix's singular values are the eigenvalues of its Gram matrix.
        singular = torch.linalg.eigvalsh(self._gram).clamp_min(0).sqrt()
        return float(singular.sum()) / math.sqrt(self.pixels * min(self.pixels, self.classes))

    def confidence(self) -> float:
        r"""The mean of the largest probability, :math:`\frac1P \sum_v \max_c p_{vc}`.

        In [1/C, 1]; higher is better.

        Source: Hendrycks and Gimpel, A baseline for detecting misclassified examples, ICLR 2017.
        """
        return self._confidence / self.pixels

    def largest_class_share(self) -> float:
        """The share of pixels that the most predicted class gets, in [1/C, 1]."""
        return float(self._predicted.max()) / self.pixels


def soft_neighborhood_density(vectors: Tensor, temperature: float = 0.05) -> float:
    r"""How many near neighbors a pixel has: the entropy of its softened similarities to the others.

    .. math:: S_{uv} = \frac{x_u^\top x_v}{\|x_u\| \|x_v\|}, \quad
              P_{uv} = \frac{\exp(S_{uv} / \tau)}{\sum_{w \ne u} \exp(S_{uw} / \tau)}, \quad
              \text{SND} = -\frac1P \sum_u \sum_{v \ne u} P_{uv} \log P_{uv}

    Well adapted networks put pixels of one class close together, so that each has many equal neighbors.

    Args:
        vectors: (P, D), class probabilities (as in the paper) or features of P >= 2 pixels.
        temperature: tau, above 0.

    Returns:
        In [0, log(P - 1)], so compare equal P only; higher is better.

    Raises:
        ValueError: fewer than two pixels, another shape, or a temperature that is not positive.

    Source: Saito et al., Tune it the right way: unsupervised validation of domain adaptation via soft
        neighborhood density, ICCV 2021, section 3, with tau = 0.05.
    """
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ValueError(f"soft_neighborhood_density: needs (P, D) with P >= 2, not {tuple(vectors.shape)}")
    if temperature <= 0:
        raise ValueError(f"soft_neighborhood_density: temperature = {temperature}; must be above 0")
    unit = F.normalize(vectors.cpu().double(), dim=1)
    similarities = unit @ unit.T / temperature
    similarities.fill_diagonal_(-math.inf)
    return float(torch.special.entr(similarities.softmax(dim=1)).sum(dim=1).mean())


def agreement(first: Tensor, second: Tensor, classes: int) -> float:
    """The mIoU of one prediction against another of the same pixels, which takes the truth's place.

    Args:
        first: (...) integer train ids.
        second: the same shape.
        classes: C.

    Returns:
        In [0, 1]; higher is better, and swapping the two changes nothing. 1 when all pixels agree.

    Raises:
        InputError: sizes that differ, or ids outside the classes.

    Source: agreement of a network with itself under changes of the image that keep the labels; unlike the
        share of agreeing pixels it lets every class count.
    """
    return miou(confusion_matrix(first, second, classes))


def _log_classes(classes: int) -> float:
    # A single class has no uncertainty, and log 1 = 0 would divide it.
    return math.log(classes) if classes > 1 else 1.0
