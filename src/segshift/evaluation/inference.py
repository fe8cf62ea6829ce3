"""From images to class probabilities: whole images, sliding windows, several scales and flips."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from segshift.errors import InputError
from segshift.models.resize import Size, upsample
from segshift.models.segmenter import Segmenter, SegmenterOutput, network_input

InferenceMode = Literal["whole", "sliding"]


def whole_image_logits(segmenter: Segmenter, images: Tensor, size: Size) -> Tensor:
    """Logits of whole images, up-sampled.

    Args:
        segmenter: network, in the mode it is in.
        images: (N, 3, H, W) RGB in [0, 1].
        size: (height, width) of the result.

    Returns:
        (N, C, height, width) logits.
    """
    output: SegmenterOutput = segmenter(segmenter.normalize(images))
    return upsample(output.logits, size)


def sliding_window_probabilities(
    segmenter: Segmenter,
    images: Tensor,
    size: Size,
    *,
    window: tuple[int, int],
    stride: tuple[int, int] | None = None,
) -> Tensor:
    """The mean, where windows overlap, of the probabilities that the windows give.

    The last window of a row or column is moved back to end with the image; an image smaller than the window
    is one window.

    Args:
        segmenter: network, in the mode it is in.
        images: (N, 3, H, W) RGB in [0, 1].
        size: (height, width) of the result.
        window: (width, height) in px of `images`.
        stride: (x, y) in px; two thirds of the window by default. At
            most the window, so that no pixel is missed.

    Returns:
        (N, C, height, width), sums to 1 over the classes.

    Raises:
        InputError: a window without pixels or a stride that is not between 1 and the window.
    """
    width, height = window
    across, down = stride or default_stride(window)
    if not (1 <= across <= width and 1 <= down <= height):
        raise InputError(
            f"window = {width}x{height}, stride = {across}x{down}: the stride must be at least 1 and at most "
            "the window"
        )
    full_height, full_width = images.shape[-2:]
    height, width = min(height, full_height), min(width, full_width)
    total: Tensor | None = None
    count = images.new_zeros((1, 1, full_height, full_width))
    for top in _starts(full_height, height, down):
        for left in _starts(full_width, width, across):
            place = (..., slice(top, top + height), slice(left, left + width))
            part = segmenter.predict_probabilities(images[place], (height, width))
            if total is None:
                total = part.new_zeros((len(images), part.shape[1], full_height, full_width))
            total[place] += part
            count[place] += 1
    if total is None:
        raise InputError("sliding window: the image has no pixels")
    return upsample(total / count, size)


def default_stride(window: tuple[int, int]) -> tuple[int, int]:
    """Two thirds of a (width, height) window, so that neighbors overlap by a third."""
    return max(1, 2 * window[0] // 3), max(1, 2 * window[1] // 3)


def _starts(length: int, window: int, stride: int) -> list[int]:
    last = length - window
    return [*range(0, last, stride), last]


def probabilities(
    segmenter: Segmenter,
    images: Tensor,
    size: Size,
    *,
    mode: InferenceMode = "whole",
    input_size: tuple[int, int] | None = None,
    window: tuple[int, int] | None = None,
    stride: tuple[int, int] | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
) -> Tensor:
    """The mean of the class probabilities over scales and, if asked for, horizontal flips.

    Args:
        segmenter: network, in the mode it is in.
        images: (N, 3, H, W) RGB, uint8 or in [0, 1], on the segmenter's device.
        size: (height, width) of the result.
        mode: whole images, or windows over them.
        input_size: (width, height) in px of the images for the network at scale 1; None keeps their size.
        window: (width, height) in px at every scale, for mode "sliding".
        stride: of the window, see `sliding_window_probabilities`.
        scales: factors of the size at which the network sees the images.
        flip: see every scale mirrored, too.

    Returns:
        (N, C, height, width), sums to 1 over the classes.

    Raises:
        InputError: a mode without what it needs, no scale, or one that is not positive.

    Source: FADA's multi-scale test (scales 0.7, 1.0, 1.3 with flips) and DeepLab-v2's.
    """
    check_inference(mode, window, scales)
    width, height = input_size or (images.shape[-1], images.shape[-2])
    total: Tensor | None = None
    for scale in scales:
        scaled = network_input(images, (max(1, round(scale * width)), max(1, round(scale * height))))
        for mirrored in (False, True) if flip else (False,):
            seen = scaled.flip(-1) if mirrored else scaled
            if mode == "sliding" and window is not None:
                part = sliding_window_probabilities(segmenter, seen, size, window=window, stride=stride)
            else:
                part = segmenter.predict_probabilities(seen, size)
            part = part.flip(-1) if mirrored else part
            total = part if total is None else total + part
    assert total is not None  # check_inference refuses an empty list of scales
    return total / (len(scales) * (2 if flip else 1))


def predict_ids(
    segmenter: Segmenter,
    images: Tensor,
    size: Size,
    *,
    mode: InferenceMode = "whole",
    input_size: tuple[int, int] | None = None,
    window: tuple[int, int] | None = None,
    stride: tuple[int, int] | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
) -> Tensor:
    """The most probable class of every pixel: (N, height, width) int64. Arguments as for `probabilities`."""
    check_inference(mode, window, scales)
    if mode == "whole" and tuple(scales) == (1.0,) and not flip:
        # The arg max of logits is that of their softmax, which at full resolution is the slow part.
        return whole_image_logits(segmenter, network_input(images, input_size), size).argmax(dim=1)
    scores = probabilities(
        segmenter,
        images,
        size,
        mode=mode,
        input_size=input_size,
        window=window,
        stride=stride,
        scales=scales,
        flip=flip,
    )
    return torch.argmax(scores, dim=1)


def ensemble_ids(
    segmenters: Sequence[Segmenter],
    images: Tensor,
    size: Size,
    *,
    mode: InferenceMode = "whole",
    input_sizes: Sequence[tuple[int, int] | None],
    window: tuple[int, int] | None = None,
    stride: tuple[int, int] | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
) -> Tensor:
    """The class with the highest mean probability over several networks: (N, height, width) int64.

    Every network normalises by its own pixel statistics and may see the images at a size of its own.

    Args:
        segmenters: networks for the same classes on one device.
        images: as for `probabilities`, and so are size, mode, window, stride, scales and flip.
        input_sizes: (width, height) in px per network; None keeps the images' size.

    Raises:
        InputError: networks with different classes, or a protocol that `check_inference` refuses.
    """
    check_same_classes(segmenters)
    total: Tensor | None = None
    for segmenter, input_size in zip(segmenters, input_sizes, strict=True):
        part = probabilities(
            segmenter,
            images,
            size,
            mode=mode,
            input_size=input_size,
            window=window,
            stride=stride,
            scales=scales,
            flip=flip,
        )
        total = part if total is None else total.add_(part)
    assert total is not None  # check_same_classes refuses an empty list
    # The sum has the arg max of the mean.
    return total.argmax(dim=1)


def check_same_classes(segmenters: Sequence[Segmenter]) -> None:
    """Raise InputError unless there are networks and all have the same classes in the same order."""
    if not segmenters:
        raise InputError("an ensemble needs one or more networks")
    first = segmenters[0].class_names
    for number, segmenter in enumerate(segmenters[1:], start=2):
        if segmenter.class_names != first:
            raise InputError(
                f"an ensemble needs networks with the same classes; the first has {', '.join(first)}, "
                f"number {number} has {', '.join(segmenter.class_names)}"
            )


def check_inference(mode: str, window: tuple[int, int] | None, scales: Sequence[float]) -> None:
    """Raise InputError unless these make a protocol."""
    if mode not in ("whole", "sliding"):
        raise InputError(f"mode = {mode}: unknown; use whole or sliding")
    if mode == "sliding" and window is None:
        raise InputError("mode = sliding needs a window; give its (width, height) in pixels")
    if not scales or not all(0 < scale < float("inf") for scale in scales):
        raise InputError(f"scales = {list(scales)}: give one or more positive numbers")
