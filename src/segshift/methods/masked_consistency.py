"""Consistency on masked target images (MIC), by itself or with another term's teacher."""

from collections.abc import Sequence
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from segshift.methods.averaged_teacher import (
    AveragedTeacher,
    ConfidentTeacher,
    ConfidentTeacherConfig,
    teachers,
)
from segshift.methods.term import Look, Prediction, Term
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_output import SegmenterOutput
from segshift.models.token_mask import masking_tokens, token_channels
from segshift.ranges import Share, Side
from segshift.shared_batch import own_part, processes
from segshift.sizes import height_width

_TINY_BLOCK_PX = 16


class MaskedConsistencyConfig(ConfidentTeacherConfig):
    """Configuration of the masked consistency.

    Where another term of the method has a teacher (mean_teacher), that one is used: its `ema_decay`,
    `confidence`, `share_of`, `flip_average` and `deploy` count instead of those given here.

    Attributes:
        block_px: side of the square blocks that are masked or kept.
        masked_share: how likely each block is masked.
        mask: pixels get the mean color; or tokens of a vision transformer give way to a learnt one, in
            blocks of the nearest whole number of patches, one at least (14 px: each of DINOv2's by itself).
    """

    term: Literal["masked_consistency"] = "masked_consistency"
    ema_decay: float = Field(0.999, ge=0, lt=1)
    block_px: Side = 64
    masked_share: Share = 0.7
    mask: Literal["pixels", "tokens"] = "pixels"

    def tiny(self) -> Self:
        """Also with blocks of which several fit."""
        return super().tiny().model_copy(update={"block_px": min(self.block_px, _TINY_BLOCK_PX)})


class MaskedConsistency(ConfidentTeacher):
    r"""The student has to say of a masked target image what the teacher says of the whole one.

    .. math:: L = \frac{\lambda}{|X|} \sum_x q_x \, \mathrm{CE}(f(M \odot x_T)_x, p_x), \quad
        M = [v > r], \; v \sim U(0, 1) \text{ for every block of } b \times b \text{ px}

    with the teacher's labels p of the image x_T itself and their weights q. The image is jittered in color
    and blurred before it is masked, and masked pixels have the mean color. An image whose sides are no
    multiples of b has the nearest whole numbers of blocks, of one size.

    The labels are those of the first other term with a teacher, which is then asked once for both; without
    one the term has a teacher of its own. It sleeps while that term does.

    Source: Hoyer et al., MIC: Masked Image Consistency for Context-Enhanced Domain Adaptation, CVPR 2023,
    section 3.2, equations 5 to 9; the color augmentation from its section 4.1. Masked tokens: Englert et al.,
    VFM-UDA, CVPR workshops 2024, whose token is the one that DINOv2 was trained with; ours starts as
    DINOv2's once did, from 0, and is trained along.
    """

    Config = MaskedConsistencyConfig
    why_splits_differ = "blocks, color jitter and blur are drawn at random"

    def __init__(self, config: MaskedConsistencyConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.settings = config
        if config.mask == "tokens":
            self.mask_token = nn.Parameter(torch.zeros(token_channels(segmenter.backbone)))
        # A tuple, since a module would be registered a second time.
        self._host: tuple[AveragedTeacher, ...] = ()

    def join(self, terms: Sequence[Term]) -> None:
        """Use another term's teacher instead of one's own, if there is one."""
        having = teachers(terms)
        others = [term for term in having if not isinstance(term, MaskedConsistency)]
        host = (others or having)[0]
        if host is not self:
            self._host = (host,)
            self.start_step = max(self.start_step, host.start_step)
            del self.teacher

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """The student's loss on masked images, against the teacher's labels of the whole ones."""
        images = look.batch.target_images
        labels, weights = (self._host or (self,))[0].pseudo_labels(look)
        prediction = Prediction.of(self._masked(look.segmenter, images), height_width(images))
        return {"masked": self.config.weight * prediction.cross_entropy(labels, weights)}

    def after(self, look: Look) -> None:
        """Move the teacher, if it is this term's own."""
        if not self._host:
            super().after(look)

    def deployed(self) -> Segmenter | None:
        """The term's own teacher, if it has one and it was asked for."""
        return None if self._host else super().deployed()

    def _masked(self, student: Segmenter, images: Tensor) -> SegmenterOutput:
        """What the student says of the images' augmented and masked versions."""
        seen = student.normalize(self._augment(images))
        output: SegmenterOutput
        if self.settings.mask == "tokens":
            with masking_tokens(student.backbone, self.mask_token, self._kept):
                output = student(seen)
        else:
            output = student(seen * self._kept(images))
        return output

    def _kept(self, images: Tensor, cell_px: int = 1) -> Tensor:
        """(M, 1, H, W): 1 where an image, or a map of cells of so many px, is kept, 0 where it is masked."""
        height, width = images.shape[-2:]
        block = max(1, round(self.settings.block_px / cell_px))
        grid = (max(1, round(height / block)), max(1, round(width / block)))
        # Drawn for all processes that share the batch, as a single one would.
        drawn = own_part(torch.rand(processes() * len(images), 1, *grid))
        kept = (drawn > self.settings.masked_share).to(images)
        return F.interpolate(kept, (height, width), mode="nearest-exact")
