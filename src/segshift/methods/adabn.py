"""AdaBN: the target's batch-norm statistics, and nothing else, as a baseline of its own.

Source: Li et al., Revisiting batch normalization for practical domain adaptation, 2016. Wherever a method
shows the target to a network with batch norm it gets this effect for nothing, so tables need the row.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from segshift.config import Strict
from segshift.methods.base import Batch, Method, PreparationData, Update
from segshift.methods.term import Look, Term, TermConfig
from segshift.models.batch_norm import adapt_batch_norm
from segshift.models.segmenter import Segmenter
from segshift.ranges import BatchSize, Count


class AdaBNConfig(Strict):
    """Configuration of the method without training.

    Attributes:
        name: "adabn".
        images: how many target images feed the statistics, from the first on; None takes all.
        batch_size: images per forward pass. The averages are over batches of this size.
    """

    name: Literal["adabn"] = "adabn"
    images: Count | None = None
    batch_size: BatchSize = 4


class AdaBN(Method):
    """Replace the running statistics by the target's; no parameter moves, so `training.steps` is 0."""

    Config = AdaBNConfig
    needs_source = False

    def __init__(self, config: AdaBNConfig, segmenter: Segmenter) -> None:
        super().__init__()
        self.config = config
        self.segmenter = segmenter

    def networks(self) -> dict[str, list[nn.Parameter]]:
        """None: nothing is trained."""
        return {}

    def prepare(self, data: PreparationData) -> None:
        """Average the statistics over the target's training images."""
        images = data.target_images(self.config.batch_size, self.config.images)
        adapt_batch_norm(self.segmenter, images)

    def step(self, batch: Batch) -> Iterator[Update]:
        """No update."""
        yield from ()

    def deployed(self) -> Segmenter:
        """The segmenter with the target's statistics."""
        return self.segmenter


class AdaBNTerm(Term):
    """AdaBN while training: the target passes through the network only to feed its running averages.

    This is the leak that a source-only baseline must not have, made a baseline of its own.
    """

    Config = TermConfig
    uses_target_prediction = False
    needs_source = False

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """Run the target through the network without a graph; the loss is zero."""
        images = look.batch.target_images
        with torch.no_grad():
            look.segmenter(look.segmenter.normalize(images))
        return {"statistics": images.new_zeros(())}
