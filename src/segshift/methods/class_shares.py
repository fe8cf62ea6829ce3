"""The classes' shares of the prediction stay what they were: against collapse, where there are no labels."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from segshift.losses import class_share_divergence
from segshift.methods.base import PreparationData
from segshift.methods.term import Look, Term, TermConfig
from segshift.models.batch_norm import evaluating
from segshift.models.segmenter import Segmenter
from segshift.ranges import Count
from segshift.sizes import height_width


class ClassSharesConfig(TermConfig):
    """Configuration of the penalty.

    Attributes:
        weight: of the divergence.
        images: from so many target images, from the first on, the network at the start estimates the shares;
            null takes all.
    """

    term: Literal["class_shares"] = "class_shares"
    weight: float = Field(0.1, ge=0)
    images: Count | None = 200


class ClassShares(Term):
    """What share of the target's pixels a class gets may not drift from what the start predicted.

    Entropy and pseudo labels are satisfied when frequent classes swallow rare ones; this is not.

    Source: Bateson et al., Source-relaxed domain adaptation for image segmentation, MICCAI 2020, whose shares
    come from knowledge about the target. Liang et al., SHOT, ICML 2020, ask for equal shares instead, which
    no street has.
    """

    Config = ClassSharesConfig
    needs_source = False
    why_splits_differ = "the shares are those of each part"
    shares: Tensor

    def __init__(self, config: ClassSharesConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.config = config
        # A tuple, since a module would be registered a second time.
        self._segmenter = (segmenter,)
        classes = len(segmenter.class_names)
        self.register_buffer("shares", torch.full((classes,), 1.0 / classes))

    def prepare(self, data: PreparationData) -> None:
        """The mean prediction of the network as it starts, over the target's images."""
        (segmenter,) = self._segmenter
        means = []
        with evaluating(segmenter), torch.no_grad():
            # One by one: their sizes may differ.
            for images in data.target_images(1, self.config.images):
                probs = segmenter.predict_probabilities(images.to(segmenter.device), height_width(images))
                means.append(probs.mean(dim=(0, 2, 3)))
        self.shares.copy_(torch.stack(means).mean(dim=0))

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """The weighted divergence of the batch's shares."""
        divergence = class_share_divergence(look.target_prediction().probs(), self.shares)
        return {"divergence": self.config.weight * divergence}
