"""Maximum classifier discrepancy: a sixth paper in one file, outside the package.

Two classifiers on one body: the classifiers learn to disagree on the target while they stay right on the
source, and the body learns features on which they agree.

Source: Saito et al., Maximum Classifier Discrepancy for Unsupervised Domain Adaptation, CVPR 2018, steps A, B
and C of section 3.3.
"""

from collections.abc import Iterator

from pydantic import Field
from torch import Tensor, nn

from segshift.config import Strict
from segshift.errors import InputError
from segshift.losses import cross_entropy
from segshift.methods import Batch, Method, Network, Prediction, Update
from segshift.models import Segmenter


class MCDConfig(Strict):
    """Configuration of MCD.

    Attributes:
        name: how the recipe found this class.
        body_updates: how often the body moves per step (n in the paper).
        discrepancy_weight: of the discrepancy in steps B and C; the paper has no weight, which is 1.
    """

    name: str = "mcd.py:MCD"
    body_updates: int = Field(2, ge=1)
    discrepancy_weight: float = Field(1.0, ge=0)


class MCD(Method):
    """Schedule: `body+heads heads body body`; every update predicts afresh, because a network has moved."""

    Config = MCDConfig

    def __init__(self, config: MCDConfig, segmenter: Segmenter) -> None:
        super().__init__()
        if segmenter.second_head is None:
            raise InputError("MCD plays two classifiers against each other: set model.classifiers: 2")
        self.config = config
        self.segmenter = segmenter

    def networks(self) -> dict[str, list[nn.Parameter]]:
        """The body, and the two classifiers together: learners, all of them, who quarrel over the target."""
        assert self.segmenter.second_head is not None
        heads = [*self.segmenter.head.parameters(), *self.segmenter.second_head.parameters()]
        body = [parameter for parameter in self.segmenter.backbone.parameters() if parameter.requires_grad]
        return {"body": Network(body), "heads": Network(heads)}

    def step(self, batch: Batch) -> Iterator[Update]:
        """Steps A, B and C."""
        # A: everything learns the source.
        yield Update(("body", "heads"), self._supervised(batch))
        # B: the classifiers disagree on the target; the source keeps them right.
        apart = {"discrepancy": -self.config.discrepancy_weight * self._discrepancy(batch)}
        yield Update("heads", {**self._supervised(batch), **apart})
        # C: the body brings them together again.
        for _ in range(self.config.body_updates):
            yield Update("body", {"discrepancy": self.config.discrepancy_weight * self._discrepancy(batch)})

    def deployed(self) -> Segmenter:
        """The segmenter with both classifiers."""
        return self.segmenter

    def _supervised(self, batch: Batch) -> dict[str, Tensor]:
        first, second = self._heads(batch.source_images)
        return {
            "first": cross_entropy(first, batch.source_labels),
            "second": cross_entropy(second, batch.source_labels),
        }

    def _discrepancy(self, batch: Batch) -> Tensor:
        """Mean absolute difference of the two classifiers' probabilities on the target (equation 2)."""
        first, second = self._heads(batch.target_images)
        return (first.softmax(dim=1) - second.softmax(dim=1)).abs().mean()

    def _heads(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = (images.shape[-2], images.shape[-1])
        prediction = Prediction.of(self.segmenter(self.segmenter.normalize(images)), size)
        first, second = prediction.head_logits
        return first, second
