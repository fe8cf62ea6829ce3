"""AdaptPatch's two networks: module H, which names a patch's mode, and the discriminator of its answers."""

import torch.nn.functional as F
from torch import Tensor, nn

from segshift.errors import InputError
from segshift.models.discriminators import NEGATIVE_SLOPE
from segshift.sizes import HeightWidth

_WIDTHS = (256, 512)


class PatchModule(nn.Module):
    """Module H: average pooling to one cell per patch, then two convolutions to one channel per mode.

    Cells stand side by side from the top left corner. A rest at the right or the bottom in which no whole
    patch fits is left out, so that every cell has exactly one patch: adaptive pooling with all cells equal.

    The paper gives neither the convolutions' kernel nor the width between them, nor what stands between them
    (here leaky ReLU 0.2).

    Args:
        classes: C, channels of the map.
        modes: K.
        patch_px: (height, width) of a patch in px of the map.
        hidden_channels: between the two convolutions.
        kernel: of both, in cells: 1 looks at each patch alone, 3 also at its neighbours.

    Source: Tsai et al., Discriminative patch representations, ICCV 2019, section 3.4 and figure 3.
    """

    def __init__(
        self, classes: int, modes: int, patch_px: HeightWidth, hidden_channels: int = 128, kernel: int = 3
    ) -> None:
        super().__init__()
        self.patch_px = patch_px
        padding = kernel // 2
        self.layers = nn.Sequential(
            nn.Conv2d(classes, hidden_channels, kernel, padding=padding),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Conv2d(hidden_channels, modes, kernel, padding=padding),
        )

    def forward(self, probs: Tensor) -> Tensor:
        """(N, C, H, W) class probabilities to (N, K, H // patch height, W // patch width) logits of modes.

        Raises:
            InputError: the map is smaller than a patch.
        """
        height, width = self.patch_px
        if probs.shape[-2] < height or probs.shape[-1] < width:
            raise InputError(
                f"patch_px: a patch of {width} x {height} px does not fit into a training image of "
                f"{probs.shape[-1]} x {probs.shape[-2]}; choose smaller patches or larger crops"
            )
        logits: Tensor = self.layers(F.avg_pool2d(probs, self.patch_px, self.patch_px))
        return logits


class PatchModeDiscriminator(nn.Module):
    """Tells source from target by a patch's K mode probabilities: three fully connected layers.

    They are 1x1 convolutions, so that each patch is judged alone; widths 256, 512, 1, leaky ReLU 0.2.

    Args:
        modes: K.

    Source: Tsai et al., Discriminative patch representations, ICCV 2019, section 3.4.
    """

    def __init__(self, modes: int) -> None:
        super().__init__()
        first, second = _WIDTHS
        self.layers = nn.Sequential(
            nn.Conv2d(modes, first, 1),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Conv2d(first, second, 1),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Conv2d(second, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, K, U, V) to (N, 1, U, V) logits: positive means target."""
        logits: Tensor = self.layers(x)
        return logits
