"""Evaluate a folder of prediction PNGs that some other program wrote."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segshift.data.containers import open_picture
from segshift.data.decoder import LabelDecoder
from segshift.data.label_files import read_label
from segshift.data.labels import IGNORE, ClassSet, class_mapping, class_set, class_set_names
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.evaluation.boundary import boundary_counts
from segshift.evaluation.counts import CountsBuilder
from segshift.evaluation.find_predictions import find_predictions
from segshift.evaluation.protocol import versions
from segshift.evaluation.result import EvaluationResult
from segshift.files import expanded

LABEL_IDS: Final = "label_ids"
TRAIN_IDS: Final = "train_ids"


@dataclass(frozen=True)
class _Reader:
    """Prediction files to train ids of `classes`; C, one more than the last id, is none of them."""

    ids: str
    classes: ClassSet
    split: Split

    def read(self, path: Path) -> NDArray[np.int64]:
        decoder = self.split.decoder
        if self.ids == LABEL_IDS:
            raw = (
                decoder.read_raw(path) if decoder.kind == "rgb" else _read_ids(path, decoder, decoder.channel)
            )
            values: NDArray[Any] = decoder.decode(raw, str(path))
        else:
            values = _read_ids(path, decoder)
            wrong = values[(values >= self.classes.count) & (values != IGNORE)]
            if wrong.size:
                raise InputError(
                    f"{path}: holds the id {wrong[0]}, but the train ids of {self.classes.name} go from 0 to "
                    f"{self.classes.count - 1} (255: no class); for the ids of the data set's own label "
                    f"files say --prediction-ids {LABEL_IDS}"
                )
        return np.where(values == IGNORE, self.classes.count, values).astype(np.int64)


def evaluate_predictions(
    folder: str | Path,
    split: Split,
    *,
    ids: str | None = None,
    boundary: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """One confusion matrix of a folder of prediction PNGs against a split's labels.

    A pixel that is predicted as none of the classes is a miss for its true class and a false positive for
    none, as in cityscapesScripts.

    Args:
        folder: PNGs named after the images, see `find_predictions`; of the labels' size.
        split: labelled; its images are not opened.
        ids: `label_ids`: as in the data set's own label files; `train_ids`: positions in its classes;
            the name of a class set: positions in that one, to which the labels are mapped; None finds out
            whether they are label ids or train ids, which costs reading the files twice.
        boundary: also count boundary IoU.
        progress: called with (images done, images in all).

    Raises:
        InputError: an unlabelled split; missing, surplus or unreadable files; a prediction of another size
            than its label; ids that do not fit, or that may be both kinds.
    """
    if not split.labelled:
        raise InputError(f"{split.title} has no labels to evaluate against; choose a labelled split")
    folder = expanded(folder)
    files = find_predictions(folder, split.samples)
    reader = _Reader(ids or guess_ids(files, split), _classes(ids, split), split)
    mapping = class_mapping(split.classes, reader.classes)
    classes = reader.classes.count
    confusion = np.zeros((classes, classes + 1), np.int64)
    per_image, outlines = CountsBuilder(), CountsBuilder()
    for done, (path, sample) in enumerate(zip(files, split.samples, strict=True), start=1):
        assert sample.label is not None  # a labelled split
        label = np.take(mapping, split.decoder.read(sample.label))
        predicted = reader.read(path)
        if predicted.shape != label.shape:
            raise InputError(
                f"{path}: the prediction is {predicted.shape[1]} x {predicted.shape[0]} pixels, its label "
                f"{sample.label} is {label.shape[1]} x {label.shape[0]}; predict at the label's size"
            )
        counted = label != IGNORE
        pairs = label[counted].astype(np.int64) * (classes + 1) + predicted[counted]
        of_image = np.bincount(pairs, minlength=confusion.size).reshape(confusion.shape)
        confusion += of_image
        per_image.add_confusion(sample.stem, of_image)
        if boundary:
            outlines.add(sample.stem, boundary_counts(predicted.astype(np.uint8), label, classes))
        if progress is not None:
            progress(done, len(files))
    return EvaluationResult(
        confusion,
        reader.classes.names,
        per_image=per_image.build(),
        boundary=outlines.build() if boundary else None,
        protocol={
            "mode": "predictions",
            "prediction_ids": reader.ids,
            "prediction_ids_guessed": ids is None,
            "ignore": IGNORE,
            "images": len(files),
            "versions": versions(),
        },
    )


def _classes(ids: str | None, split: Split) -> ClassSet:
    if ids in (None, LABEL_IDS, TRAIN_IDS):
        return split.classes
    if ids not in class_set_names():
        raise InputError(
            f"--prediction-ids {ids}: use {LABEL_IDS}, {TRAIN_IDS} or the class set that the train ids are "
            f"of ({', '.join(class_set_names())})"
        )
    return class_set(ids)


def guess_ids(files: Sequence[Path], split: Split) -> str:
    """`label_ids` or `train_ids`, by the values in all the files; only what leaves no doubt is accepted.

    Raises:
        InputError: values that fit both kinds or none, or an unreadable file.
    """
    decoder, classes = split.decoder, split.classes
    if decoder.kind == "train_ids":
        return TRAIN_IDS
    if decoder.kind == "rgb":
        # Colors have three channels and ids one, so the first file tells.
        try:
            read_label(files[0], TRAIN_IDS)
        except InputError:
            return LABEL_IDS
        return TRAIN_IDS
    seen = np.zeros(2**16, bool)
    for path in files:
        seen[np.unique(_read_ids(path, decoder, decoder.channel))] = True
    values = set(np.flatnonzero(seen).tolist()) - {IGNORE}
    beyond = sorted(value for value in values if value >= classes.count)
    evaluated = {value: train_id for value, train_id in decoder.values.items() if train_id != IGNORE}
    if beyond and not any(value in evaluated for value in beyond):
        raise InputError(
            f"{files[0].parent}: the predictions hold the id {beyond[0]}, which is neither a train id (0 to "
            f"{classes.count - 1}) nor a class in `labels.map` of {decoder.where}; say --prediction-ids"
        )
    if beyond:
        return LABEL_IDS
    if values <= set(evaluated) and any(evaluated[value] != value for value in values):
        raise InputError(
            f"{files[0].parent}: the predicted ids ({', '.join(map(str, sorted(values)))}) may be label "
            f"ids or train ids; say --prediction-ids {LABEL_IDS} or {TRAIN_IDS}"
        )
    return TRAIN_IDS


def _read_ids(path: Path, decoder: LabelDecoder, channel: int | None = None) -> NDArray[Any]:
    """A prediction's ids, (H, W). Raises InputError, for colors in words that are about predictions."""
    try:
        return read_label(path, TRAIN_IDS, channel)
    except InputError:
        with open_picture(path) as (image, header):
            if len(image.getbands()) > 1 and header.container == "PNG":
                remedy = "give the PNGs of one channel that hold the ids (segshift predict: NAME_label.png)"
                if decoder.kind == "rgb":
                    remedy += f", or say --prediction-ids {LABEL_IDS} if its colors are those of the labels"
                raise InputError(f"{path}: is a color image ({header.mode}), not ids; {remedy}") from None
        raise
