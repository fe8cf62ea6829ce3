"""One pass over the images of a domain, and what is kept of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from segshift.analysis.diagnosis.maps import class_areas, shrink_image, vote
from segshift.analysis.diagnosis.statistics import ColorCounts, LabelCounts, half_of
from segshift.data.dataset import SegmentationDataset
from segshift.data.labels import ClassSet, class_mapping, common_class_sets
from segshift.data.resolve import agree
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.models.batch_norm import evaluating
from segshift.models.inference_config import Inference
from segshift.models.resize import upsample
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_output import SegmenterOutput
from segshift.pictures import Pixels
from segshift.plain import counted
from segshift.progress import Done
from segshift.sizes import WidthHeight, height_width

# The longer side of the spatial class maps.
GRID_CELLS = 32


@dataclass
class DomainContent:
    """What one pass over a domain leaves behind.

    Attributes:
        title: data set, split and number of images.
        counts: of the classes; None without label maps.
        colors: histograms; None unless asked for.
        labels: (N, h, w) uint8 train ids on the canvas, C for ignored; empty without label maps.
        images: (N, h, w, 3) uint8 RGB on the canvas; empty unless asked for.
        descriptors: (N, F) float32 features averaged over space; empty without a model.
        confidences: (N,) mean highest probability of every image; empty without a model.
        sizes: how many images have which "WxH" in px.
    """

    title: str
    counts: LabelCounts | None
    colors: ColorCounts | None
    labels: Pixels
    images: Pixels
    descriptors: NDArray[np.float32]
    confidences: NDArray[np.float64]
    sizes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Wanted:
    """What a pass shall keep.

    Attributes:
        canvas: (width, height) in cells of label maps and images.
        classes: of the label maps.
        labels: whether label maps are wanted at all.
        colors: whether color histograms are.
        images: whether images on the canvas are.
        model: whose features, and instead of labels whose predictions, are taken.
        features: whether features and confidences are wanted.
        predictions: take the model's predictions instead of labels.
        keep_ignored: leave ignored pixels a class of their own.
        inference: at which size the model sees images.
    """

    canvas: WidthHeight
    classes: ClassSet
    labels: bool
    colors: bool
    images: bool
    model: Segmenter | None
    features: bool
    predictions: bool
    keep_ignored: bool
    inference: Inference


def common_classes(source: Split, target: Split, classes: str | Sequence[str] | None) -> ClassSet:
    """The classes in which both domains are described.

    Those that are asked for; or else those of both, if they are the same; or else the largest built-in set
    that both can supply; or else the classes of the same name.

    Raises:
        InputError: classes that one of the two lacks, or nothing in common.
    """
    if classes is not None:
        return agree(source, target, classes if isinstance(classes, str) else list(classes))
    if set(source.classes.names) == set(target.classes.names):
        return source.classes
    fitting = common_class_sets(source.classes, target.classes)
    if fitting:
        return agree(source, target, fitting[0])
    shared = [name for name in source.classes.names if name in target.classes.names]
    return agree(source, target, shared or None)


def read_domain(split: Split, wanted: Wanted, progress: Done) -> DomainContent:
    """Read a split once, image by image.

    Raises:
        InputError: an unreadable file, or classes that do not fit.
    """
    from_labels = wanted.labels and not wanted.predictions
    items = SegmentationDataset(
        split, wanted.classes if from_labels else split.classes, with_labels=from_labels
    )
    classes = wanted.classes.count
    counts = LabelCounts(classes, _grid(wanted.canvas)) if wanted.labels else None
    domain = DomainContent(
        title=f"{split.dataset} {split.name} ({counted(len(items), 'image')})",
        counts=counts,
        colors=ColorCounts() if wanted.colors else None,
        labels=np.empty((0, 0, 0), np.uint8),
        images=np.empty((0, 0, 0, 3), np.uint8),
        descriptors=np.empty((0, 0), np.float32),
        confidences=np.empty(0),
    )
    labels: list[Pixels] = []
    images: list[Pixels] = []
    descriptors: list[NDArray[np.float32]] = []
    confidences: list[float] = []
    table = None
    if wanted.labels and wanted.predictions and wanted.model is not None:
        table = class_mapping(wanted.model.classes, wanted.classes)
    for index in range(len(items)):
        item = items[index]
        image = item.image.permute(1, 2, 0).numpy()
        domain.sizes[f"{image.shape[1]}x{image.shape[0]}"] += 1
        label = None if item.label is None else item.label.numpy()
        if wanted.model is not None and (table is not None or wanted.features):
            descriptor, predicted, confidence = observe(wanted.model, item.image, wanted.inference)
            descriptors.append(descriptor)
            confidences.append(confidence)
            label = label if table is None else np.take(table, predicted)
        if counts is not None and label is not None:
            areas = class_areas(label, classes, wanted.canvas)
            counts.add(label, areas, half_of(index, len(items)))
            labels.append(vote(areas, wanted.keep_ignored))
        if domain.colors is not None:
            domain.colors.add(image)
        if wanted.images:
            images.append(shrink_image(image, wanted.canvas))
        progress(index + 1, len(items))
    if labels:
        domain.labels = np.stack(labels)
    if images:
        domain.images = np.stack(images)
    if descriptors:
        domain.descriptors, domain.confidences = np.stack(descriptors), np.array(confidences)
    return domain


def observe(
    model: Segmenter, image: torch.Tensor, inference: Inference
) -> tuple[NDArray[np.float32], Pixels, float]:
    """A model's view of one image in evaluation mode.

    Args:
        model: on the device where it shall run.
        image: (3, H, W) uint8 RGB.
        inference: at which size it sees the image.

    Returns:
        (F,) features averaged over space, (h, w) uint8 train ids at the size that the network saw, and the
        mean of the pixels' highest probabilities.
    """
    with evaluating(model), torch.inference_mode():
        images = inference.seen(model, image[None])
        output: SegmenterOutput = model(images)
        probabilities = upsample(output.logits, height_width(images)).float().softmax(dim=1)
        confidence, ids = probabilities[0].max(dim=0)
        descriptor = output.features[0].float().mean(dim=(1, 2))
    return descriptor.cpu().numpy(), ids.to("cpu", torch.uint8).numpy(), float(confidence.mean())


def refuse_shared_images(source: Split, target: Split) -> None:
    """Raises InputError when an image file is in both domains: no classifier could be tested on it."""
    files = {sample.image.resolve() for sample in source.samples}
    shared = [sample.image for sample in target.samples if sample.image.resolve() in files]
    if shared:
        raise InputError(
            f"{shared[0]} and {counted(len(shared) - 1, 'more image')} are in the source and in the target; "
            "give two data sets or splits without common images"
        )


def _grid(canvas: WidthHeight) -> WidthHeight:
    """(width, height) in cells of the spatial class maps, in the shape of the canvas."""
    longer = max(canvas)
    cells = min(GRID_CELLS, longer)
    return WidthHeight((max(1, round(canvas[0] * cells / longer)), max(1, round(canvas[1] * cells / longer))))
