"""Evaluate a segmenter, or an ensemble of them, on a labelled data set."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from segshift.errors import InputError
from segshift.evaluation.items import LabelledItems, image_and_label
from segshift.evaluation.labelled import opened
from segshift.evaluation.measures import Iou, Measure, judge
from segshift.evaluation.protocol import inference_protocol
from segshift.evaluation.result import EvaluationResult
from segshift.models.batch_norm import evaluating
from segshift.models.devices import usable_device
from segshift.models.inference import WHOLE_PIXELS
from segshift.models.inference_config import Inference
from segshift.models.loading import load
from segshift.models.segmenter import Segmenter
from segshift.progress import Done
from segshift.shared_batch import own_places
from segshift.sizes import height_width


def evaluate(
    networks: Segmenter | str | Path | Sequence[Segmenter | str | Path],
    data: LabelledItems | str | Path,
    inference: Inference | None = None,
    measures: Sequence[Measure] = (Iou(),),
    *,
    batch_size: int = 4,
    device: torch.device | str | None = None,
    progress: Done | None = None,
) -> EvaluationResult:
    """The scores of a network on a data set, from one confusion matrix over all its pixels.

    Scores are up-sampled to the label's size, and the most probable class counts. Labels are never resized.
    Inside of `segshift.shared_batch.sharing` each process sees its share of the images, and all get the
    scores of all, equal to those of a single one.

    Args:
        networks: a network, or what `segshift.load` takes; evaluated in evaluation mode, their mode is as
            before afterwards. Several are an ensemble, whose answer is the mean of their probabilities.
        data: a dataset argument (`FILE.yaml:SPLIT`, `camvid:ROOT:test`; `val` if it names no split), whose
            classes are matched by name, or a data set whose labels are train ids of the networks' classes:
            any torch data set of (image, label) pairs, see `LabelledItems`.
        inference: how the networks see the images; each whole and at its own size by default.
        measures: what is counted, such as `[Iou(), BoundaryIou()]`.
        batch_size: at most so many images of equal size at once. Does not change the result.
        device: moves the networks there; None leaves them where they are.
        progress: called with (images done, images in all) after every batch; of this process's share.

    Raises:
        ProcessLostError: another process ended.
        InputError: an empty or unlabelled data set, other classes than the networks', ids outside them, an
            ensemble of networks with different classes, scores that are not finite, or no such device.

    Example:
        >>> import segshift
        >>> segshift.evaluate("runs/streets", "streets/dataset.yaml:val").miou  # doctest: +SKIP
    """
    several = [networks] if isinstance(networks, Segmenter | str | Path) else networks
    segmenters = [one if isinstance(one, Segmenter) else load(one) for one in several]
    check_same_classes(segmenters)
    if batch_size < 1:
        raise InputError(f"evaluate: batch_size = {batch_size}; give 1 or more")
    inference = inference or Inference()
    data = opened(data, segmenters[0].classes)
    names = _class_names(segmenters, data)
    if device is not None:
        for segmenter in segmenters:
            segmenter.to(usable_device(device))
    sizes = [inference.size_for(segmenter) for segmenter in segmenters]
    fits = [inference.fit_for(segmenter) for segmenter in segmenters]
    protocol = inference_protocol(inference, sizes, fits, len(names))
    with ExitStack() as stack:
        for segmenter in segmenters:
            stack.enter_context(evaluating(segmenter))
        stack.enter_context(torch.inference_mode())
        pairs = _predicted(segmenters, data, inference, batch_size, progress)
        return judge(pairs, names, measures, protocol=protocol)


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


def _class_names(networks: Sequence[Segmenter], data: LabelledItems) -> tuple[str, ...]:
    if len(data) == 0:
        raise InputError("evaluate: the data set has no images; check its split")
    own = networks[0].class_names
    named = getattr(data, "classes", own)
    names = tuple(getattr(named, "names", named))
    if names != own:
        raise InputError(
            f"evaluate: the model's classes are {', '.join(own)}; the data's are "
            f"{', '.join(names)}; map the data to the model's classes"
        )
    return own


def _predicted(
    networks: Sequence[Segmenter],
    data: LabelledItems,
    inference: Inference,
    batch_size: int,
    progress: Done | None,
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Names, predictions and labels, on the networks' device."""
    names, place = _image_names(data), networks[0].device
    own = _own_images(len(data), batch_size)
    done = own.start
    for images, labels in _batches(data, own, batch_size):
        size = height_width(labels)
        predicted = inference.ids(networks, images.to(place), size)
        for prediction, label in zip(predicted, labels.to(place), strict=True):
            yield names[done], prediction, label
            done += 1
        if progress is not None:
            progress(done - own.start, len(own))


def _own_images(images: int, batch_size: int) -> range:
    """This process's share: whole batches, which round as they do in a single process."""
    batches = own_places(-(-images // batch_size))
    return range(batches.start * batch_size, min(images, batches.stop * batch_size))


def _image_names(data: LabelledItems) -> list[str]:
    """The stems of a split's samples, or numbers for data sets of another kind."""
    samples = getattr(getattr(data, "split", None), "samples", None)
    return [str(index) for index in range(len(data))] if samples is None else [s.stem for s in samples]


def _batches(data: LabelledItems, own: range, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Neighbors of equal size together, in the data set's order; huge images one by one. A batch begins at
    every multiple of the batch size, whoever sees it.
    """
    waiting: list[tuple[Tensor, Tensor]] = []
    for index in own:
        image, label = image_and_label(data[index], index)
        if label is None:
            raise InputError(f"evaluate: image {index} has no label; evaluate on a labelled split")
        full = index % batch_size == 0 or label.numel() > WHOLE_PIXELS
        pair = (image, label)
        if waiting and (full or _form(pair) != _form(waiting[0])):
            yield _stack(waiting)
            waiting = []
        waiting.append(pair)
    if waiting:
        yield _stack(waiting)


def _form(pair: tuple[Tensor, Tensor]) -> tuple[torch.Size, torch.dtype, torch.Size]:
    return pair[0].shape, pair[0].dtype, pair[1].shape


def _stack(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.stack([image for image, _ in pairs]), torch.stack([label for _, label in pairs])
