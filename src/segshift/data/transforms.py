"""Joint transforms of image and label, uint8 in and out, decided by one seed and nothing else."""

import math

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from segshift.data.augmentation import Augmentation, Blur, ColorJitter
from segshift.data.sampler import Wish
from segshift.sizes import WidthHeight, fitted
from segshift.train_ids import IGNORE


def transformed(
    augmentation: Augmentation, image: Tensor, label: Tensor | None, seed: int | None, wish: Wish | None
) -> tuple[Tensor, Tensor | None]:
    """What `Augmentation` makes of a sample; arguments and result are those of its call."""
    draw = None if seed is None else _Draws(seed)
    height, width = image.shape[-2:]
    target_width, target_height = augmentation.resize or (width, height)
    if draw and augmentation.scale:
        factor = draw.uniform(*augmentation.scale)
        target_width = max(1, round(target_width * factor))
        target_height = max(1, round(target_height * factor))
    box = WidthHeight((target_width, target_height))
    target_width, target_height = fitted(WidthHeight((width, height)), box, augmentation.fit)
    image, label = _resized(image, label, target_width, target_height, augmentation.interpolation)
    if augmentation.fit == "pad":
        image, label = _padded(image, label, box)
    if draw:
        if augmentation.crop:
            image, label = _cropped(image, label, augmentation.crop, draw, wish)
        if augmentation.flip and draw.chance(0.5):
            image, label = image.flip(-1), None if label is None else label.flip(-1)
        if augmentation.color_jitter:
            image = _jittered(image, augmentation.color_jitter, draw)
        if augmentation.blur:
            image = _blurred(image, augmentation.blur, draw)
    return image.contiguous(), None if label is None else label.contiguous()


def _resized(
    image: Tensor, label: Tensor | None, width: int, height: int, interpolation: str
) -> tuple[Tensor, Tensor | None]:
    if tuple(image.shape[-2:]) == (height, width):
        return image, label
    mode = InterpolationMode(interpolation)
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
