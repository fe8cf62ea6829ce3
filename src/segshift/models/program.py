"""A network with all that happens to pixels before and after it: what is exported as a program."""

import copy
from typing import Literal

from torch import Tensor, nn

from segshift.models.pixels import network_input
from segshift.models.resize import resize_images, upsample
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_metadata import SegmenterMetadata
from segshift.sizes import WidthHeight, height_width, of_tensors

Precision = Literal["fp32", "fp16", "int8"]
INPUT = "image"
OUTPUTS = ("labels", "confidence", "logits")
METADATA_KEY = "segshift"
"""Under which an exported file holds its `ProgramMetadata` as JSON."""


class ProgramMetadata(SegmenterMetadata):
    """What an exported file says about its program.

    Attributes:
        program_size: (width, height) in px to which the program resizes images; null leaves their size.
        precision: of its numbers.
    """

    program_size: WidthHeight | None = None
    precision: Precision = "fp32"


class Program(nn.Module):
    """uint8 images of any size to train ids and their confidence, of the images' own size.

    Images are seen whole, at `size` if there is one; scores are up-sampled as everywhere
    (`segshift.models.upsample`). Nothing but the segmenter is in it.

    Args:
        segmenter: copied, so that it stays as it is.
        size: (width, height) in px at which the network sees images; None is their own size.
        half: compute the network in float16; what comes before and after stays in float32.
    """

    def __init__(self, segmenter: Segmenter, size: WidthHeight | None = None, half: bool = False) -> None:
        super().__init__()
        self.size, self.half_precision = size, half
        self.segmenter = copy.deepcopy(segmenter).eval().requires_grad_(False)
        self.segmenter.auxiliary_head = None  # of training alone
        if self.segmenter.multi_resolution is not None:
            self.segmenter.multi_resolution.at_once = True
        if half:
            self.segmenter.half()
            # Means of 104 and more would lose their fractions.
            self.segmenter.mean, self.segmenter.std = segmenter.mean, segmenter.std

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is in an image.

        Args:
            image: (N, 3, H, W) uint8 RGB.

        Returns:
            labels (N, H, W) uint8 train ids, confidence (N, H, W) float32, the probability of that class, and
            the logits (N, C, h, w) float32 at the network's own resolution.
        """
        seen = image if self.size is None else resize_images(image, of_tensors(self.size))
        pixels = self.segmenter.normalize(network_input(seen))
        logits = self.segmenter(pixels.half() if self.half_precision else pixels).logits.float()
        scores = upsample(logits, height_width(image))
        confidence, labels = scores.softmax(dim=1).max(dim=1)
        return labels.byte(), confidence, logits
