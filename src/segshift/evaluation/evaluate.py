"""Evaluate a segmenter, or an ensemble of them, on a labelled data set."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from segshift.errors import InputError
from segshift.evaluation.boundary import boundary_counts
from segshift.evaluation.confusion import confusion_matrix
from segshift.evaluation.counts import CountsBuilder
from segshift.evaluation.inference import (
    InferenceMode,
    check_inference,
    check_same_classes,
    ensemble_ids,
    predict_ids,
)
from segshift.evaluation.protocol import inference_protocol, versions
from segshift.evaluation.result import EvaluationResult
from segshift.models.batch_norm import evaluating
from segshift.models.segmenter import Segmenter


class LabelledItem(Protocol):
    """An image, (3, H, W) uint8, and its label, (H', W') uint8 train ids."""

    @property
    def image(self) -> Tensor: ...
    @property
    def label(self) -> Tensor | None: ...


class LabelledItems(Protocol):
    """What `evaluate` needs of a data set; `segshift.data.SegmentationDataset` has it."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: int, /) -> LabelledItem: ...


def evaluate(
    segmenter: Segmenter | Sequence[Segmenter],
    dataset: LabelledItems,
    *,
    mode: InferenceMode = "whole",
    input_size: tuple[int, int] | None = None,
    window: tuple[int, int] | None = None,
    stride: tuple[int, int] | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    boundary: bool = False,
    batch_size: int = 4,
    device: torch.device | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """One confusion matrix over all pixels of a data set.

    Images are resized to `input_size` for the network, logits (or probabilities, with windows, scales,
    flips or several networks) are up-sampled to the label's size, and the most probable class counts. Labels
    are never resized.

    Args:
        segmenter: evaluated in evaluation mode; its mode is as before afterwards. Several are an ensemble,
            whose answer is the mean of their probabilities.
        dataset: labelled images, whose train ids are the segmenter's classes.
        mode: whole images or sliding windows.
        input_size: (width, height) in px; None takes each segmenter's own `config.input_size`.
        window: (width, height) in px for mode "sliding".
        stride: (x, y) of the windows in px.
        scales: at which the network sees the images.
        flip: also mirrored.
        boundary: also count boundary IoU, which takes time on large images.
        batch_size: at most so many images of equal size at once. Does not change the result.
        device: moves the segmenters there; None leaves them where they are.
        progress: called with (images done, images in all) after every batch.

    Raises:
        InputError: an empty or unlabelled data set, other classes than the segmenter's, ids outside them, an
            ensemble of networks with different classes.
    """
    check_inference(mode, window, scales)
    segmenters = [segmenter] if isinstance(segmenter, Segmenter) else list(segmenter)
    check_same_classes(segmenters)
    if len(dataset) == 0:
        raise InputError("evaluate: the data set has no images; check its split")
    classes = getattr(dataset, "classes", None)
    own = segmenters[0].class_names
    names = tuple(getattr(classes, "names", own))
    if names != own:
        raise InputError(
            f"evaluate: the model's classes are {', '.join(own)}; the data's are "
            f"{', '.join(names)}; map the data to the model's classes"
        )
    if device is not None:
        for one in segmenters:
            one.to(device)
    place = segmenters[0].device
    sizes = [input_size or one.config.input_size for one in segmenters]
    count, image_names = len(names), _image_names(dataset)
    confusion = np.zeros((count, count), np.int64)
    per_image, outlines = CountsBuilder(), CountsBuilder()
    done = 0
    with ExitStack() as stack:
        for one in segmenters:
            stack.enter_context(evaluating(one))
        stack.enter_context(torch.inference_mode())
        for images, labels in _batches(dataset, batch_size):
            images, labels = images.to(place), labels.to(place)
            size = (labels.shape[-2], labels.shape[-1])
            if len(segmenters) == 1:
                predicted = predict_ids(
                    segmenters[0],
                    images,
                    size,
                    mode=mode,
                    input_size=sizes[0],
                    window=window,
                    stride=stride,
                    scales=scales,
                    flip=flip,
                )
            else:
                predicted = ensemble_ids(
                    segmenters,
                    images,
                    size,
                    mode=mode,
                    input_sizes=sizes,
                    window=window,
                    stride=stride,
                    scales=scales,
                    flip=flip,
                )
            for answer, label in zip(predicted, labels, strict=True):
                counted = confusion_matrix(answer, label, count).cpu().numpy()
                confusion += counted
                per_image.add_confusion(image_names[done], counted)
                if boundary:
                    ids = answer.to(torch.uint8).cpu().numpy()
                    outlines.add(image_names[done], boundary_counts(ids, label.cpu().numpy(), count))
                done += 1
            if progress is not None:
                progress(done, len(dataset))
    protocol = inference_protocol(
        mode=mode, input_sizes=sizes, window=window, stride=stride, scales=scales, flip=flip, classes=count
    )
    return EvaluationResult(
        confusion,
        names,
        per_image=per_image.build(),
        boundary=outlines.build() if boundary else None,
        protocol={**protocol, "images": done, "versions": versions()},
    )


def _image_names(dataset: LabelledItems) -> list[str]:
    """The stems of a split's samples, or numbers for data sets of another kind."""
    samples = getattr(getattr(dataset, "split", None), "samples", None)
    return [str(index) for index in range(len(dataset))] if samples is None else [s.stem for s in samples]


def _batches(dataset: LabelledItems, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Neighbours of equal size together, in the data set's order."""
    waiting: list[tuple[Tensor, Tensor]] = []
    for index in range(len(dataset)):
        item = dataset[index]
        if item.label is None:
            raise InputError(f"evaluate: image {index} has no label; evaluate on a labelled split")
        pair = (item.image, item.label)
        if waiting and (len(waiting) == batch_size or _sizes(pair) != _sizes(waiting[0])):
            yield _stack(waiting)
            waiting = []
        waiting.append(pair)
    yield _stack(waiting)


def _sizes(pair: tuple[Tensor, Tensor]) -> tuple[torch.Size, torch.Size]:
    return pair[0].shape, pair[1].shape


def _stack(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.stack([image for image, _ in pairs]), torch.stack([label for _, label in pairs])
