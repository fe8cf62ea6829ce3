"""CRST: self-training on pseudo labels with confidence regularized, in the network or in the labels."""

import copy
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from segshift.documents import read_json
from segshift.errors import InputError
from segshift.files import expanded
from segshift.losses import (
    RegularizerKind,
    confidence_regularizer,
    entropy_regularized_labels,
    soft_cross_entropy,
)
from segshift.methods.base import LabelledImages
from segshift.methods.term import Prediction, Term, TermConfig
from segshift.models.batch_norm import evaluating
from segshift.models.segmenter import Segmenter
from segshift.sizes import height_width

PSEUDO_LABELLED = "pseudo_labelled"
"""The stream that both terms act on; true labels, of the source or the target, are left alone."""


class ConfidenceRegularizationConfig(TermConfig):
    """Configuration of the model regularization.

    Attributes:
        kind: mrkld (divergence from uniform), mrent (negative entropy) or mrl2 (squared length).
        weight: of the regularizer beside the pseudo labels' cross-entropy (alpha).
    """

    term: Literal["confidence_regularization"] = "confidence_regularization"
    kind: RegularizerKind = "mrkld"
    weight: float = Field(0.1, ge=0)


class ConfidenceRegularization(Term):
    """Model regularization: outputs on pseudo-labelled pixels are kept smooth; labels stay one-hot.

    Source: Zou et al., Confidence regularized self-training (CRST), ICCV 2019: MRKLD, MRENT, MRL2.
    """

    Config = ConfidenceRegularizationConfig
    uses_target = False
    uses_target_prediction = False
    needs_source = False

    def __init__(self, config: ConfidenceRegularizationConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.kind: RegularizerKind = config.kind
        self.weight = config.weight

    def on_labelled(self, labelled: LabelledImages, prediction: Prediction) -> dict[str, Tensor]:
        """The regularizer on the pixels that have a pseudo label."""
        if labelled.name != PSEUDO_LABELLED:
            return {}
        loss = confidence_regularizer(prediction.logits, labelled.labels, self.kind)
        return {self.kind: self.weight * loss}


class LabelRegularizationConfig(TermConfig):
    """Configuration of the label regularization.

    Attributes:
        weight: of the cross-entropy with soft labels. It stands in for the one with hard labels, so set
            `method.labelled_weight: 0`.
        alpha: softness of the labels; towards 0 they become one-hot.
        thresholds: the `pseudo_labels.json` of the hard labels, for the classes' confidence thresholds;
            null takes 1 for every class.
    """

    term: Literal["label_regularization"] = "label_regularization"
    weight: float = Field(1.0, ge=0)
    alpha: float = Field(0.25, gt=0)
    thresholds: str | None = None


class LabelRegularization(Term):
    """LRENT: the pixels that have a pseudo label learn from a soft one instead.

    The public code stores the soft labels, which is K numbers per pixel. Here the network that gave the hard
    labels, which is the one that the stage starts from, gives the soft ones when an image is used: a frozen
    copy of the start sees the augmented image. It costs a forward pass. Pixels are selected as for the hard
    labels, by a ratio p / lambda of at least 1; the paper's rule, that the sum of (p / lambda)^(1 / alpha)
    over the classes exceeds 1, adds those that are just below.

    Source: Zou et al., CRST, ICCV 2019: LRENT.
    """

    Config = LabelRegularizationConfig
    uses_target = False
    uses_target_prediction = False
    needs_source = False
    thresholds: Tensor

    def __init__(self, config: LabelRegularizationConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.config = config
        self.labeller = copy.deepcopy(segmenter).requires_grad_(False)
        names = segmenter.class_names
        given = config.thresholds
        values = [1.0] * len(names) if given is None else read_thresholds(given, names)
        self.register_buffer("thresholds", torch.tensor(values))

    def on_labelled(self, labelled: LabelledImages, prediction: Prediction) -> dict[str, Tensor]:
        """Cross-entropy with the frozen start's soft labels."""
        if labelled.name != PSEUDO_LABELLED:
            return {}
        size = height_width(labelled.labels)
        with evaluating(self.labeller), torch.no_grad():
            probs = self.labeller.predict_probabilities(labelled.images, size)
        soft = entropy_regularized_labels(probs, self.thresholds, self.config.alpha)
        return {"lrent": self.config.weight * soft_cross_entropy(prediction.logits, soft, labelled.labels)}


def read_thresholds(path: str | Path, class_names: tuple[str, ...]) -> list[float]:
    """The classes' confidence thresholds from a `pseudo_labels.json`, in the order of `class_names`.

    Returns:
        A number in (0, 1] per class; 1 for a class that got no pseudo labels.

    Raises:
        InputError: no such file, or one without these classes.
    """
    file = expanded(path)
    try:
        classes: dict[str, dict[str, Any]] = read_json(file)["classes"]
        values = [classes[name]["threshold"] for name in class_names]
    except (InputError, KeyError, TypeError):
        raise InputError(
            f"thresholds = {path}: is no pseudo_labels.json with the classes {', '.join(class_names)}; give "
            "the one that `segshift data pseudo-label` wrote"
        ) from None
    return [1.0 if value is None else float(value) for value in values]
