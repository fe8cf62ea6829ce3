"""The settings of `augmentation:`, which a recipe is checked against without PyTorch."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from segshift.config import Strict
from segshift.ranges import Scale, Share
from segshift.sizes import Fit, WidthHeight

if TYPE_CHECKING:
    from torch import Tensor

    from segshift.data.sampler import Wish

Sigma = Annotated[float, Field(gt=0, le=1000)]
Strength = Annotated[float, Field(ge=0, le=100)]


class ColorJitter(Strict):
    """Random photometric changes: factors lie in [max(0, 1 - x), 1 + x], hue shifts in [-x, x] turns."""

    brightness: Strength = 0.0
    contrast: Strength = 0.0
    saturation: Strength = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    probability: Share = 1.0


class Blur(Strict):
    """Gaussian blur with a standard deviation drawn from `sigma` (pixels)."""

    sigma: tuple[Sigma, Sigma] = (0.15, 1.15)
    probability: Share = 0.5

    @model_validator(mode="after")
    def _ordered(self) -> "Blur":
        _check_range("sigma", self.sigma)
        return self


class Augmentation(Strict):
    """What happens to a sample, in this order: resize, random scale, crop, flip, color jitter, blur.

    Args:
        resize: (width, height) in pixels; the only part that is not random.
        fit: what becomes of other proportions than `resize` has. `stretch` changes them. `cover` scales until
            both sides are at least as long as in `resize` (then `crop` makes sizes equal). `pad` scales until
            both sides fit, and fills up at the right and the bottom as `crop` does. The network that is
            trained keeps the target's rule (`model.input_fit`) and fills nothing up.
        scale: range of the factor on top of it. Both are done in one resampling, so nothing is blurred twice.
        crop: (width, height) in pixels at a random place. Smaller samples are padded at the right and the
            bottom, images with 0 and labels with 255 (ignore).
        flip: mirror left and right, with probability 1/2.
        color_jitter, blur: of the image alone.
        interpolation: of the image, always with anti-aliasing; labels take the nearest pixel by centers.
    """

    resize: WidthHeight | None = None
    fit: Fit = "stretch"
    scale: tuple[Scale, Scale] | None = None
    crop: WidthHeight | None = None
    flip: bool = False
    color_jitter: ColorJitter | None = None
    blur: Blur | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    @model_validator(mode="after")
    def _ordered(self) -> "Augmentation":
        if self.scale is not None:
            _check_range("scale", self.scale)
        return self

    def __call__(
        self, image: "Tensor", label: "Tensor | None", seed: int | None, wish: "Wish | None" = None
    ) -> "tuple[Tensor, Tensor | None]":
        """A transformed sample.

        Args:
            image: (3, H, W) uint8.
            label: (H, W) uint8 train ids, or None.
            seed: decides every random choice; None resizes only. The global random state is left alone.
            wish: the crop's place is drawn again until the label there fulfils it.

        Returns:
            The image (3, H', W') uint8 and the label (H', W') uint8 or None.
        """
        from segshift.data.transforms import transformed

        return transformed(self, image, label, seed, wish)


def _check_range(key: str, pair: tuple[float, float]) -> None:
    if pair[0] > pair[1]:
        raise ValueError(f"{key} = {list(pair)} must be [smallest, largest]")
