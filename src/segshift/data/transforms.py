"""Joint transforms of image and label, uint8 in and out, decided by one seed and nothing else."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from segshift.config import Strict
from segshift.data.sampler import Wish
from segshift.ranges import Scale, Share
from segshift.sizes import Fit, WidthHeight, fitted
from segshift.train_ids import IGNORE

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
        self, image: Tensor, label: Tensor | None, seed: int | None, wish: Wish | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """A transformed sample.

        Args:
            image: (3, H, W) uint8.
            label: (H, W) uint8 train ids, or None.
            seed: decides every random choice; None resizes only. The global random state is left alone.
            wish: the crop's place is drawn again until the label there fulfils it.

        Returns:
            The image (3, H', W') uint8 and the label (H', W') uint8 or None.
        """
        draw = None if seed is None else _Draws(seed)
        height, width = image.shape[-2:]
        target_width, target_height = self.resize or (width, height)
        if draw and self.scale:
            factor = draw.uniform(*self.scale)
            target_width = max(1, round(target_width * factor))
            target_height = max(1, round(target_height * factor))
        box = WidthHeight((target_width, target_height))
        target_width, target_height = fitted(WidthHeight((width, height)), box, self.fit)
        image, label = self._resized(image, label, target_width, target_height)
        if self.fit == "pad":
            image, label = _padded(image, label, box)
        if draw:
            if self.crop:
                image, label = _cropped(image, label, self.crop, draw, wish)
            if self.flip and draw.chance(0.5):
                image, label = image.flip(-1), None if label is None else label.flip(-1)
            if self.color_jitter:
                image = _jittered(image, self.color_jitter, draw)
            if self.blur:
                image = _blurred(image, self.blur, draw)
        return image.contiguous(), None if label is None else label.contiguous()

    def _resized(
        self, image: Tensor, label: Tensor | None, width: int, height: int
    ) -> tuple[Tensor, Tensor | None]:
        if tuple(image.shape[-2:]) == (height, width):
            return image, label
        mode = InterpolationMode(self.interpolation)
        # torch 2.15 fills results of one column wrongly, or fails, in its uint8 kernel, but not in float.
        source = image.float() if width == 1 else image
        resized = functional.resize(source, [height, width], interpolation=mode, antialias=True)
        image = resized.round().clamp(0, 255).to(torch.uint8) if width == 1 else resized
        if label is not None:
            # NEAREST_EXACT samples at pixel centers as the image's filter does; NEAREST would shift labels.
            nearest = InterpolationMode.NEAREST_EXACT
            label = functional.resize(label[None], [height, width], interpolation=nearest)[0]
        return image, label


class _Draws:
    """Random numbers from one seed, independent of the global random state."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=self._generator, dtype=torch.float64).item()

    def chance(self, probability: float) -> bool:
        return self.uniform(0.0, 1.0) < probability

    def integer(self, below: int) -> int:
        return int(torch.randint(below, (), generator=self._generator).item())

    def permutation(self, length: int) -> list[int]:
        return [int(index) for index in torch.randperm(length, generator=self._generator)]


def _padded(image: Tensor, label: Tensor | None, size: WidthHeight) -> tuple[Tensor, Tensor | None]:
    """At least `size` (width, height), filled up at the right and the bottom: images 0, labels ignored."""
    height, width = image.shape[-2:]
    right, bottom = max(0, size[0] - width), max(0, size[1] - height)
    if right or bottom:
        image = torch.nn.functional.pad(image, (0, right, 0, bottom), value=0)
        if label is not None:
            label = torch.nn.functional.pad(label, (0, right, 0, bottom), value=IGNORE)
    return image, label


def _cropped(
    image: Tensor, label: Tensor | None, size: WidthHeight, draw: _Draws, wish: Wish | None
) -> tuple[Tensor, Tensor | None]:
    crop_width, crop_height = size
    image, label = _padded(image, label, size)
    height, width = image.shape[-2:]
    for _ in range(1 if wish is None else wish.tries):
        top = draw.integer(height - crop_height + 1)
        left = draw.integer(width - crop_width + 1)
        rows, columns = slice(top, top + crop_height), slice(left, left + crop_width)
        if wish is None or label is None or (label[rows, columns] == wish.train_id).sum() >= wish.pixels:
            break
    return image[..., rows, columns], None if label is None else label[rows, columns]


def _jittered(image: Tensor, jitter: ColorJitter, draw: _Draws) -> Tensor:
    happens = draw.chance(jitter.probability)
    order = draw.permutation(4)
    brightness, contrast, saturation = (
        draw.uniform(max(0.0, 1.0 - strength), 1.0 + strength)
        for strength in (jitter.brightness, jitter.contrast, jitter.saturation)
    )
    hue = draw.uniform(-jitter.hue, jitter.hue)
    if not happens:
        return image
    for change in order:
        if change == 0 and jitter.brightness:
            image = functional.adjust_brightness(image, brightness)
        elif change == 1 and jitter.contrast:
            image = functional.adjust_contrast(image, contrast)
        elif change == 2 and jitter.saturation:
            image = functional.adjust_saturation(image, saturation)
        elif change == 3 and jitter.hue:
            image = functional.adjust_hue(image, hue)
    return image


def _blurred(image: Tensor, blur: Blur, draw: _Draws) -> Tensor:
    happens = draw.chance(blur.probability)
    sigma = draw.uniform(*blur.sigma)
    if not happens:
        return image
    height, width = image.shape[-2:]
    # Four standard deviations hold all that 8 bits can show; reflection needs the kernel inside the image.
    reach = max(1, math.ceil(4 * sigma))
    across, down = (2 * min(reach, length - 1) + 1 for length in (width, height))
    # Two one-dimensional passes in float: linear instead of quadratic in sigma, rounded only once.
    blurred = functional.gaussian_blur(image.float(), [across, 1], [sigma, sigma])
    blurred = functional.gaussian_blur(blurred, [1, down], [sigma, sigma])
    rounded: Tensor = blurred.round().clamp(0, 255).to(torch.uint8)
    return rounded


def _check_range(key: str, pair: tuple[float, float]) -> None:
    if pair[0] > pair[1]:
        raise ValueError(f"{key} = {list(pair)} must be [smallest, largest]")
