"""Local alignment (ALP-GI): AdvEnt whose discriminator sees random patches of a whole image's prediction."""

from typing import Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from segshift.errors import InputError
from segshift.losses import self_information
from segshift.methods.adversarial import AdversarialTerm, OutputAdversarialConfig
from segshift.methods.term import Level, Prediction
from segshift.models.discriminators import FullyConvolutionalDiscriminator, WholeMapDiscriminator
from segshift.models.segmenter import Segmenter
from segshift.ranges import Side
from segshift.shared_batch import own_part, processes
from segshift.sizes import WidthHeight

# The discriminator halves its map five times.
_SMALLEST_PX = 32


class LocalAlignmentConfig(OutputAdversarialConfig):
    """Configuration of local alignment.

    The paper's ablations: null as `patch_px` aligns global predictions of global images (AGP-GI; with
    `verdict: windows` this is the term `advent`); null together with `augmentation.crop` of both domains at
    the patch's size aligns predictions of cropped images (AP-CI, which the paper shows to fail).

    Attributes:
        verdict: what the discriminator says of a patch. patch: one verdict, as in the paper, whose D maps a
            patch to one two-way answer (equation 2); how D is built is not stated there. windows: one per
            32 px each way, each of a window of 94 px, as the discriminator of AdvEnt does, on whose code the
            paper builds; most windows of a 256 px patch then see the same as in a whole map, and the patch's
            size acts mostly through the padding at its borders.
        patch_px: side of the patches, or [width, height], at least 32; null shows whole maps.
        patches: random patches per image and look. The paper has one.
        view: what is cut into patches: self_information (AdvEnt) or probabilities.
        normalized: divide the self-information by log C, as AdvEnt's public code does.
    """

    term: Literal["local_alignment"] = "local_alignment"
    patch_px: Side | WidthHeight | None = 256
    patches: int = Field(1, ge=1, le=1024)
    verdict: Literal["patch", "windows"] = "patch"
    view: Literal["self_information", "probabilities"] = "self_information"
    normalized: bool = False

    def tiny(self) -> Self:
        """Also with the smallest patches, if there are any."""
        return super().tiny().model_copy(update={"patch_px": self.patch_px and _SMALLEST_PX})

    @field_validator("patch_px")
    @classmethod
    def _large_enough(cls, patch_px: int | tuple[int, int] | None) -> int | tuple[int, int] | None:
        sides = (patch_px,) if isinstance(patch_px, int) else patch_px or ()
        if any(side < _SMALLEST_PX for side in sides):
            raise ValueError(f"the discriminator needs at least {_SMALLEST_PX} px each way")
        return patch_px

    @model_validator(mode="after")
    def _patches_of_a_size(self) -> Self:
        if self.patch_px is None and self.patches > 1:
            raise ValueError(f"patches: {self.patches} needs a patch_px; whole maps are all the same")
        return self


class LocalAlignment(AdversarialTerm):
    """AdvEnt on random patches. Cross-entropy and prediction stay those of the whole image.

    Small parts of segmentation maps look alike in both domains even where whole maps do not, so only they
    are made indistinguishable. Each time maps are shown to the discriminator, every one of them is cut at
    fresh places from torch's global generator, which the engine seeds for every step.

    Source: Cicek et al., Spatial class distribution shift in unsupervised domain adaptation, ACCV 2020,
    equations 2 and 3. Its discriminator has two outputs and cross-entropy, which is this game in other words.
    """

    Config = LocalAlignmentConfig
    why_splits_differ = "every map is cut at places of its own, at random"

    def __init__(self, config: LocalAlignmentConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.config = config
        self.level: Level = config.level
        self.weight = config.weight
        judge = WholeMapDiscriminator if config.verdict == "patch" else FullyConvolutionalDiscriminator
        self.adversary = judge(len(segmenter.class_names), config.base_channels)

    def view(self, prediction: Prediction) -> Tensor:
        """(N * patches, C, h, w) random patches; (N, C, H, W) without `patch_px`.

        Raises:
            InputError: a patch is larger than the prediction.
        """
        maps = prediction.probs(self.level)
        if self.config.patch_px is not None:
            maps = random_patches(maps, self.config.patch_px, self.config.patches, self.name)
        # Pixel by pixel, so the patch of the information is the information of the patch.
        if self.config.view == "self_information":
            maps = self_information(maps, normalized=self.config.normalized)
        return maps


def random_patches(maps: Tensor, patch_px: int | tuple[int, int], patches: int, name: str) -> Tensor:
    """Cut windows out of maps, every one at a place of its own, all places equally likely.

    Args:
        maps: (N, C, H, W).
        patch_px: side of the windows, or (width, height), as configurations have it.
        patches: windows per map.
        name: of the term, for the message.

    Returns:
        (N * patches, C, h, w), the windows of one map next to each other; gradients flow back to `maps`.

    Raises:
        InputError: the window is larger than the maps.
    """
    width, height = (patch_px, patch_px) if isinstance(patch_px, int) else patch_px
    rows, columns = maps.shape[-2] - height + 1, maps.shape[-1] - width + 1
    if rows < 1 or columns < 1:
        raise InputError(
            f"method.terms, {name}: patch_px = {width}x{height} does not fit into a prediction of "
            f"{maps.shape[-1]}x{maps.shape[-2]}; set a smaller patch_px or train on larger images"
        )
    # Drawn for the maps of all processes that share the batch, as a single one would.
    count = (processes() * len(maps) * patches,)
    tops, lefts = (own_part(torch.randint(sides, count)).tolist() for sides in (rows, columns))
    return torch.stack(
        [
            maps[index // patches, :, top : top + height, left : left + width]
            for index, (top, left) in enumerate(zip(tops, lefts, strict=True))
        ]
    )
