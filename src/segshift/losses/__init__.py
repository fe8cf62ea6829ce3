"""Loss functions: pure, each with its formula, shapes and source."""

from segshift.losses.adversarial import Domain, domain_loss
from segshift.losses.entropy import entropy_loss, self_information
from segshift.losses.segmentation import cross_entropy, weighted_cross_entropy

__all__ = [
    "Domain",
    "cross_entropy",
    "domain_loss",
    "entropy_loss",
    "self_information",
    "weighted_cross_entropy",
]
