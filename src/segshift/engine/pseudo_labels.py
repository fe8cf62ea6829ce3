"""Pseudo labels: a network's own predictions on target images, written as an ordinary labelled data set."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from torch import Tensor

from segshift.config import parse
from segshift.data.finder import Sample
from segshift.data.images import read_image
from segshift.data.resolve import resolve
from segshift.data.sampling import take_subset
from segshift.engine.cores import set_threads
from segshift.engine.pseudo_label_folder import PseudoLabelFolder
from segshift.engine.pseudo_label_rules import DEFAULT_PORTION, ConfidenceHistogram, LabelChoice, Rule
from segshift.engine.recipe import Recipe
from segshift.engine.signals import StopRequest, stop_on_signal
from segshift.engine.target_labels import saw_target_labels
from segshift.errors import InputError, StoppedError
from segshift.files import atomic_path
from segshift.folders import MODEL_FILE, lock_folder, model_file
from segshift.models.inference import WHOLE_PIXELS, Band
from segshift.models.inference_config import Inference
from segshift.models.loading import load
from segshift.models.segmenter import Segmenter
from segshift.progress import Progress
from segshift.ranges import BatchSize
from segshift.sizes import height_width

# Batches between two savings of the first pass.
_SAVE_EVERY = 25


class PseudoLabelConfig(Inference):
    """Settings of pseudo labels, with the keys of `Inference`.

    Attributes:
        model: a model.safetensors or run folder; null takes the recipe's `init_from`, which is the model of
            the stage before.
        rule: class_balanced (CBST): per class, the surest `portion` of the pixels; class_threshold (BDL):
            per class, the surest `portion`, and all above `threshold`; confidence: all above `threshold`;
            none: every pixel (FADA's self-distillation).
        portion: share of each class's predicted pixels, in (0, 1]; null is 0.2 for class_balanced and 0.5
            for class_threshold.
        threshold: a probability in [0, 1).
        weigh_classes: of class_balanced: probabilities are divided by the classes' thresholds before the
            most probable class is taken, as CBST does, which favors classes that are never sure.
        min_class_share: of the two rules by class: a class predicted on less than this share of the set's
            pixels keeps none, since its threshold would rest on noise, and weighing would spread it.
        copy_images: copy the images beside the labels. By default the data set refers to where they are,
            by a path relative to it; with copies its folder can be moved.
        batch_size: images per forward pass.
    """

    former: ClassVar[dict[str, str]] = {"size": "input_size"}

    model: str | None = None
    rule: Rule = "class_balanced"
    portion: float | None = Field(None, gt=0, le=1)
    threshold: float = Field(0.9, ge=0, lt=1)
    weigh_classes: bool = True
    min_class_share: float = Field(1e-4, ge=0, lt=1)
    copy_images: bool = False
    batch_size: BatchSize = 4


def run_pseudo_label_stage(
    recipe: Recipe, settings: dict[str, Any], folder: Path, progress: Progress, where: str
) -> None:
    """A recipe's pseudo_label stage: label the target's training images into `folder`, once.

    Args:
        recipe: of the stage; its target's labels are not opened.
        settings: see `PseudoLabelConfig`.
        folder: gets labels, dataset.yaml and pseudo_labels.json.
        progress: who hears how it goes.
        where: the recipe and stage, for messages.

    Raises:
        InputError: bad settings, no model or target, or a folder with other pseudo labels.
        StoppedError: Ctrl-C or SIGTERM; the next call goes on.
    """
    config = parse(PseudoLabelConfig, settings, f"{where}, settings")
    model = config.model or recipe.init_from
    if model is None:
        raise InputError(
            f"{where}: there is no network to label with; train one in an earlier stage or set settings.model"
        )
    if recipe.target.dataset is None:
        raise InputError(f"{where}: needs target images: give --target or `target.dataset`")
    set_threads(recipe.training.threads)
    streams = [(recipe.target.dataset, recipe.target.split, recipe.target.subset)]
    streams += [(one.dataset, one.split, one.subset) for one in recipe.target.also]
    splits = [
        take_subset(resolve(dataset, split, labels="unused"), subset) for dataset, split, subset in streams
    ]
    samples = [sample for split in splits for sample in split.samples]
    write_pseudo_labels(model, samples, config, folder, progress, title=where)


def write_pseudo_labels(
    model: str | Path,
    samples: Sequence[Sample],
    config: PseudoLabelConfig,
    folder: Path,
    progress: Progress,
    title: str = "pseudo labels",
    segmenter: Segmenter | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Label images with a network, and write the labels as a data set of one split, "train".

    The rules by class walk the images twice: for the confidences, then for the labels. A killed run goes on
    where it was and ends with the same bytes; `pseudo_labels.json` is written last and marks the end, and a
    finished folder is only read. Images are opened, labels never are.

    Args:
        model: a model.safetensors or run folder.
        samples: the images.
        config: rule and way of prediction; its `model` is not looked at.
        folder: new, or begun or finished by the same model, settings and images (names and contents).
        progress: who hears how it goes.
        title: of progress and messages.
        segmenter: the network in `model`, from one who has loaded it already.
        device: where the network runs; None takes a GPU if there is one.

    Returns:
        The content of pseudo_labels.json: settings, whether the network has seen target labels (null where
        no results.json says so), share of the pixels that are kept, and per class the predicted and kept
        pixels, their ratio and the confidence threshold (null where there is none). With weighed classes the
        ratio can exceed the portion: a class is then also given to pixels on which another was more
        probable.

    Raises:
        InputError: a bad model or image, or a folder that holds something else.
        StoppedError: Ctrl-C or SIGTERM.
    """
    # What does not change the labels must not keep a finished folder from being recognised; nor must names
    # and keys that are newer than it.
    settings = config.model_dump(mode="json", exclude={"model", "batch_size"})
    settings["size"] = settings.pop("input_size")
    if config.stride is None:
        del settings["stride"]
    settings["model_sha256"] = _content(model)
    place = PseudoLabelFolder(folder, samples, settings, config.copy_images)
    with lock_folder(folder):
        finished = place.finished()
        if finished is not None:
            progress.say(f"{title}: finished before, in {folder}")
            return finished
        place.claim()
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        with stop_on_signal() as stop, torch.inference_mode():
            network = load(model, device) if segmenter is None else segmenter.to(device)
            writer = _Writer(network, place, config, progress, title, stop)
            selection = writer.select()
            return writer.write(selection, saw_target_labels(model))


class _Writer:
    """The two walks over the images."""

    def __init__(
        self,
        segmenter: Segmenter,
        place: PseudoLabelFolder,
        config: PseudoLabelConfig,
        progress: Progress,
        title: str,
        stop: StopRequest,
    ) -> None:
        self.segmenter, self.place, self.config, self.stop = segmenter, place, config, stop
        self.progress, self.title = progress, title
        self.classes = len(segmenter.class_names)

    def select(self) -> LabelChoice:
        """The rule with its thresholds, for which the rules by class need the first walk."""
        config = self.config
        if config.rule in ("none", "confidence"):
            return LabelChoice(config.rule, config.threshold)
        histogram = ConfidenceHistogram(self.classes)
        done = self.place.load_histogram(histogram)
        total = len(self.place.images)
        with self.progress.bar(f"{self.title}: confidences", total, done) as advance:
            for number, images in enumerate(_batches(self.place.images, done, config.batch_size)):
                for band in self._bands(images):
                    histogram.add(band.probabilities)
                done += len(images)
                if done == total or self.stop or number % _SAVE_EVERY == _SAVE_EVERY - 1:
                    self.place.save_histogram(histogram, done)
                advance(len(images))
                self._end_if_asked(done)
        portion = config.portion or DEFAULT_PORTION[config.rule]
        last_bins = histogram.last_bins(portion, config.min_class_share)
        return LabelChoice(config.rule, config.threshold, last_bins, config.weigh_classes)

    def write(self, selection: LabelChoice, uses_target_labels: bool | None) -> dict[str, Any]:
        """Labels, data set and summary, which says whether the network has seen target labels."""
        total = len(self.place.images)
        done, predicted, kept = self.place.counted(self.classes)
        with self.progress.bar(f"{self.title}: labels", total, done) as advance:
            for images in _batches(self.place.images, done, self.config.batch_size):
                labels = torch.empty((len(images), *images.shape[-2:]), dtype=torch.uint8)
                counts = torch.zeros((2, self.classes), dtype=torch.int64)
                for band in self._bands(images):
                    chosen, ids = selection.labels(band.probabilities)
                    labels[:, band.rows] = chosen.to("cpu", torch.uint8)
                    counts += torch.stack([_count(ids, self.classes), _count(chosen, self.classes)])
                for offset, label in enumerate(labels.numpy()):
                    self._write_image(done + offset, label)
                self.place.record(len(images), *counts)
                predicted, kept, done = predicted + counts[0], kept + counts[1], done + len(images)
                advance(len(images))
                self._end_if_asked(done)
        thresholds = selection.class_thresholds(self.classes)
        return self.place.finish(self.segmenter.classes, predicted, kept, thresholds, uses_target_labels)

    def _bands(self, images: Tensor) -> Iterator[Band]:
        """The scores of (N, 3, H, W) images at their own size."""
        size = height_width(images)
        return self.config.bands([self.segmenter], images.to(self.segmenter.device), size)

    def _write_image(self, index: int, label: NDArray[np.uint8]) -> None:
        with atomic_path(self.place.label_file(index)) as temporary:
            Image.fromarray(label).save(temporary, format="PNG")
        self.place.copy_image(index)

    def _end_if_asked(self, done: int) -> None:
        if self.stop:
            raise StoppedError(self.stop.signal_number, done)


def _batches(images: Sequence[Path], done: int, batch_size: int) -> Iterator[Tensor]:
    """Neighbors of equal size together, huge images one by one; starting after any batch gives the same
    batches as before."""
    waiting: list[Tensor] = []
    for index in range(done, len(images)):
        image = torch.from_numpy(read_image(images[index])).permute(2, 0, 1)
        full = len(waiting) == batch_size or image[0].numel() > WHOLE_PIXELS
        if waiting and (full or image.shape != waiting[0].shape):
            yield torch.stack(waiting)
            waiting = []
        waiting.append(image)
    if waiting:
        yield torch.stack(waiting)


def _count(ids: Tensor, classes: int) -> Tensor:
    """(K,) pixels of each class, without ignored ones."""
    return torch.bincount(ids[ids < classes].flatten(), minlength=classes).cpu()


def _content(model: str | Path) -> str:
    file = model_file(model)
    if not file.is_file():
        raise InputError(f"{model}: holds no model; give a run folder or its {MODEL_FILE}")
    return hashlib.sha256(file.read_bytes()).hexdigest()
