"""Loss functions: pure, each with its formula, shapes and source."""

from segshift.losses.adversarial import Domain, domain_loss, weighted_domain_loss
from segshift.losses.agreement import cosine_discrepancy, weight_similarity
from segshift.losses.class_contrast import class_contrast
from segshift.losses.class_domain import EncodingKind, class_domain_loss, domain_encoding
from segshift.losses.class_shares import class_share_divergence
from segshift.losses.confidence import (
    RegularizerKind,
    confidence_regularizer,
    entropy_regularized_labels,
    soft_cross_entropy,
)
from segshift.losses.entropy import entropy_loss, self_information
from segshift.losses.entropy_ranking import ranked_entropy_loss
from segshift.losses.feature_distance import feature_distance
from segshift.losses.generative import GAN_CLASSES, GanClass, gan_class_loss
from segshift.losses.histograms import label_histograms
from segshift.losses.image_translation import least_squares_loss
from segshift.losses.segmentation import (
    cross_entropy,
    focal_cross_entropy,
    weighted_cross_entropy,
)
from segshift.losses.valid import valid_pixels

__all__ = [
    "GAN_CLASSES",
    "Domain",
    "EncodingKind",
    "GanClass",
    "RegularizerKind",
    "class_contrast",
    "class_domain_loss",
    "class_share_divergence",
    "confidence_regularizer",
    "cosine_discrepancy",
    "cross_entropy",
    "domain_encoding",
    "domain_loss",
    "entropy_loss",
    "entropy_regularized_labels",
    "feature_distance",
    "focal_cross_entropy",
    "gan_class_loss",
    "label_histograms",
    "least_squares_loss",
    "ranked_entropy_loss",
    "self_information",
    "soft_cross_entropy",
    "valid_pixels",
    "weight_similarity",
    "weighted_cross_entropy",
    "weighted_domain_loss",
]
