"""AdaptPatch: alignment of patches in the space of the source's patch modes."""

from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from segshift.losses import cross_entropy
from segshift.methods.adversarial import AdversarialTerm
from segshift.methods.base import PreparationData
from segshift.methods.patch_modes import NO_MODE, Patches, Sampling, assign_modes, cached_centers
from segshift.methods.term import Look, Prediction, TermConfig
from segshift.models.patch import PatchModeDiscriminator, PatchModule
from segshift.models.segmenter import Segmenter
from segshift.ranges import Channels, Count, Side
from segshift.sizes import HeightWidth, WidthHeight, of_tensors

_TINY_PX, _TINY_MODES = 32, 4


class PatchConfig(TermConfig):
    """Configuration of patch alignment.

    Attributes:
        weight: of the segmenter's adversarial loss (lambda_adv); 0 leaves the adversary and the target out,
            the paper's "discriminative feature".
        mode_weight: of the loss that teaches module H the source's modes (lambda_d); 0 leaves it out.
        modes: K, the number of clusters.
        patch_px: (width, height) of a patch in px of the training crop, or one number for both. Both must be
            divisible by `grid`. Crops are cut into whole patches; a rest at the right or the bottom is left
            out of this term.
        grid: cells along each side of a patch in which the classes are counted.
        min_labelled: share of a patch's pixels that must have a class for it to have a mode.
        patches_per_image: random patches per label map that are clustered.
        clustering_images: how many label maps of the source are read for it.
        clustering_seed: of the places and the clustering. Apart from the run's seed: modes belong to the
            data, and are cached.
        hidden_channels: between module H's two convolutions.
        kernel: of both, in patches.
        start_step: the paper trains on the supervised loss alone for 10 000 steps before.
    """

    former: ClassVar[dict[str, str]] = {"weight_mode": "mode_weight"}

    term: Literal["patch"] = "patch"
    weight: float = Field(0.0005, ge=0)
    mode_weight: float = Field(0.01, ge=0)
    modes: int = Field(50, ge=2, le=10_000)
    patch_px: Side | WidthHeight = WidthHeight((64, 32))
    grid: int = Field(2, ge=1, le=64)
    min_labelled: float = Field(0.5, gt=0, le=1)
    patches_per_image: Count = 25
    clustering_images: Count = 2000
    clustering_seed: int = Field(0, ge=0, le=2**32 - 1)
    hidden_channels: Channels = 128
    kernel: Literal[1, 3] = 3

    @property
    def patch_size(self) -> HeightWidth:
        """(height, width) of a patch, the order of tensor shapes."""
        if isinstance(self.patch_px, int):
            return HeightWidth((self.patch_px, self.patch_px))
        return of_tensors(self.patch_px)

    def tiny(self) -> Self:
        """Also with patches that fit, and as many modes as a few of them can have."""
        height, width = self.patch_size
        most = _TINY_PX // self.grid * self.grid
        small = {"patch_px": (min(width, most), min(height, most)), "modes": min(self.modes, _TINY_MODES)}
        return super().tiny().model_copy(update=small)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(side < 1 or side % self.grid for side in self.patch_size):
            raise ValueError(f"patch_px: both sides must be positive multiples of grid = {self.grid}")
        if self.weight == 0 and self.mode_weight == 0:
            raise ValueError("weight and mode_weight are both 0: take the term out instead")
        return self


class PatchAlignment(AdversarialTerm):
    """Patch alignment: module H names each patch's mode, and the discriminator sees H's answers.

    .. math:: L_d = CE(H(O_s), \\Gamma(Y_s)), \\quad F = \\mathrm{softmax}(H(O)), \\quad
              L_{adv} = -\\log D(F_t)

    O are class probabilities, Γ(Y) the mode of each patch of the labels. H trains with the segmenter, also
    by L_adv, and is left behind after training. Losses are means over patches, where the paper writes sums:
    the weights fit means, as in the code of AdaptSegNet, on which it builds. Each of the discriminator's
    losses is halved, as there. It trains on what H, just updated, makes of the outputs before the update.

    In micro-batches L_d is the mean of their means, which differs from that of the whole batch where they
    have different numbers of patches without a mode.

    Source: Tsai et al., Domain adaptation for structured output via discriminative patch representations,
    ICCV 2019, equations 1 to 5, sections 3.2 to 3.4.
    """

    Config = PatchConfig
    why_splits_differ = (
        "patches without a mode do not count, and parts of a batch may have different numbers of them"
    )
    centers: Tensor

    def __init__(self, config: PatchConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.weight, self.mode_weight = config.weight, config.mode_weight
        height, width = config.patch_size
        classes = len(segmenter.class_names)
        self.patches = Patches(height, width, classes, config.grid, config.min_labelled)
        self.sampling = Sampling(
            config.modes, config.patches_per_image, config.clustering_images, config.clustering_seed
        )
        self.categorization = PatchModule(
            classes, config.modes, config.patch_size, config.hidden_channels, config.kernel
        )
        # Part of the state, so that a resumed run needs no clustering.
        self.register_buffer("centers", torch.zeros(config.modes, self.patches.length))
        if self.weight > 0:
            self.adversary = PatchModeDiscriminator(config.modes)
        else:
            self.uses_target = self.uses_target_prediction = False

    def prepare(self, data: PreparationData) -> None:
        """Find the modes of the source's patches."""
        if self.mode_weight > 0:
            self.centers.copy_(cached_centers(data, self.patches, self.sampling))

    def view(self, prediction: Prediction) -> Tensor:
        """(N, K, U, V) probabilities of modes."""
        return self._mode_logits(prediction).softmax(dim=1)

    def on_source(self, look: Look) -> dict[str, Tensor]:
        """L_d: the modes of the source's patches."""
        if self.mode_weight == 0:
            return {}
        if look.batch.step == self.start_step and not self.centers.any():
            raise ValueError("the patch modes are unknown: prepare() was not called")
        modes = assign_modes(look.batch.source_labels, self.centers, self.patches)
        loss = cross_entropy(self._mode_logits(look.source), modes, ignore=NO_MODE)
        return {"mode": self.mode_weight * loss}

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """L_adv, whose gradient reaches the segmenter through H."""
        return super().on_target(look) if self.weight > 0 else {}

    def _mode_logits(self, prediction: Prediction) -> Tensor:
        """(N, K, U, V) in float32."""
        logits: Any = self.categorization(prediction.probs())
        result: Tensor = logits.float()
        return result
