"""Evaluate a folder of prediction PNGs, which this or some other program wrote."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segshift.data.containers import read_header
from segshift.data.images import as_stored
from segshift.data.labels import ClassSet, class_set, class_set_names
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.evaluation.find_predictions import find_predictions
from segshift.evaluation.labelled import train_id_table
from segshift.evaluation.measures import Iou, Measure, judge
from segshift.evaluation.prediction_ids import LABEL_IDS, TRAIN_IDS, guess_ids, read_ids
from segshift.evaluation.result import EvaluationResult
from segshift.evaluation.sidecar import SIDECAR, Sidecar, read_sidecar
from segshift.progress import Done
from segshift.shared_batch import own_places
from segshift.train_ids import IGNORE


@dataclass(frozen=True)
class Predictions:
    """Prediction files whose meaning is known.

    Attributes:
        folder: that they lie in.
        files: one per image of the split, in its order.
        split: labelled.
        classes: whose train ids `read` gives.
        ids: `label_ids`, `train_ids` or the classes that the train ids are of, in words.
        known_from: `option`, `sidecar` or `values`.
        sidecar: whose values they are; None for those of the split's own label files or of `classes`.
    """

    folder: Path
    files: Sequence[Path]
    split: Split
    classes: ClassSet
    ids: str
    known_from: str
    sidecar: Sidecar | None = None

    def read(self, path: Path) -> NDArray[np.uint8]:
        """A file as (H, W) train ids, 255 for no class. Raises InputError."""
        decoder = self.split.decoder
        if self.ids == LABEL_IDS and self.sidecar is None:
            raw = decoder.read_raw(path) if decoder.kind == "rgb" else read_ids(path, decoder, labels=True)
            return decoder.decode(raw, str(path))
        values = {train_id: train_id for train_id in range(self.classes.count)}
        if self.sidecar is not None:
            values = {value: train_id for train_id, value in enumerate(self.sidecar.classes.values())}
        table = np.full(2**16, self.classes.count, np.uint8)
        table[list(values)] = list(values.values())
        no_class = IGNORE if self.sidecar is None else self.sidecar.no_class
        if no_class is not None:
            table[no_class] = IGNORE
        raw = read_ids(path, decoder)
        ids: NDArray[np.uint8] = table[raw]
        wrong = raw[ids == self.classes.count]
        if wrong.size:
            raise InputError(f"{path}: holds the id {wrong[0]}, but {self._known(values)}")
        return ids

    def evaluate(
        self,
        measures: Sequence[Measure] = (Iou(),),
        *,
        scored: Sequence[str] | None = None,
        progress: Done | None = None,
    ) -> EvaluationResult:
        """The scores, over `scored` classes where the split lacks others. See `evaluate_predictions`.

        Inside of `sharing` each process reads its share of the files.
        """
        protocol = {
            "mode": "predictions",
            "prediction_ids": self.ids,
            "prediction_ids_guessed": self.known_from == "values",
            "prediction_ids_known_from": self.known_from,
            "ignore": IGNORE,
        }
        pairs = self._pairs(train_id_table(self.split, self.classes, scored), progress)
        return judge(pairs, self.classes.names, measures, complete=False, protocol=protocol)

    def _pairs(
        self, mapping: NDArray[np.uint8], progress: Done | None
    ) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Names, predictions and labels."""
        own = own_places(len(self.files))
        for done, place in enumerate(own, start=1):
            path, sample = self.files[place], self.split.samples[place]
            assert sample.label is not None  # a labelled split
            label = np.take(mapping, self.split.decoder.read(sample.label))
            predicted = self.read(path)
            if self.sidecar is not None and self.sidecar.upright:
                predicted = as_stored(predicted, read_header(sample.image).orientation)
            if predicted.shape != label.shape:
                label = self._fitted(label, predicted.shape, path, sample.image, sample.label)
            yield sample.stem, torch.from_numpy(predicted), torch.from_numpy(label)
            if progress is not None:
                progress(done, len(own))

    def _fitted(
        self, label: NDArray[np.uint8], shape: tuple[int, ...], path: Path, image: Path, label_file: Path
    ) -> NDArray[np.uint8]:
        """A label of another size than its prediction, by the data set's rule for unequal sizes."""
        decoder, remedy = self.split.decoder, "the label's size"
        if decoder.unequal_sizes == "resize":
            width, height = read_header(image).size
            if shape == (height, width):
                return decoder.fitted(label, shape)
            remedy += f" or the image's, {width} x {height}"
        raise InputError(
            f"{path}: the prediction is {shape[1]} x {shape[0]} pixels, its label {label_file} is "
            f"{label.shape[1]} x {label.shape[0]}; predict at {remedy}"
        )

    def _known(self, values: dict[int, int]) -> str:
        if self.sidecar is not None:
            return f"{SIDECAR} beside it knows {', '.join(map(str, values))}; predict anew"
        return (
            f"the train ids of {self.classes.name} go from 0 to {self.classes.count - 1} (255: no class); "
            f"for the ids of the data set's own label files say --prediction-ids {LABEL_IDS}"
        )


def open_predictions(folder: str | Path, split: Split, ids: str | None = None) -> Predictions:
    """Prediction files found and their meaning known, before any is compared with a label.

    Args:
        folder: PNGs named after the images, see `find_predictions`.
        split: labelled; its images are not decoded.
        ids: `label_ids`: as in the data set's own label files; `train_ids`: positions in its classes; the
            name of a class set, or class names with commas: positions in that one. None takes what the
            sidecar says that `segshift predict` writes; without one, the values decide, if they leave no
            doubt, which costs reading the files twice.

    Raises:
        InputError: an unlabelled split; missing or surplus files; a broken sidecar; ids that may be of both
            kinds.
    """
    if not split.labelled:
        raise InputError(f"{split.title} has no labels to evaluate against; choose a labelled split")
    folder = Path(folder).expanduser()
    files = find_predictions(folder, split.samples)
    if ids is not None:
        return Predictions(folder, files, split, _classes(ids, split), ids, "option")
    try:
        sidecar = read_sidecar(folder)
    except InputError as error:
        # Some other program's file, perhaps.
        raise InputError(f"{error} (or say what the files hold: --prediction-ids)") from None
    if sidecar is not None:
        classes = class_set(sidecar.names, name=f"{folder.name}/{SIDECAR}", palette=sidecar.palette)
        return Predictions(folder, files, split, classes, sidecar.ids, "sidecar", sidecar)
    return Predictions(folder, files, split, split.classes, guess_ids(files, split), "values")


def evaluate_predictions(
    folder: str | Path,
    split: Split,
    *,
    ids: str | None = None,
    measures: Sequence[Measure] = (Iou(),),
    scored: Sequence[str] | None = None,
    progress: Done | None = None,
) -> EvaluationResult:
    """One confusion matrix of a folder of prediction PNGs against a split's labels.

    A pixel that is predicted as none of the classes is a miss for its true class and a false positive for
    none, as in cityscapesScripts. Labels are mapped to the predictions' classes by name. Where the data set
    says `unequal_sizes: resize`, predictions of the image's size are compared with the label at that size.

    Args:
        folder, split, ids: see `open_predictions`.
        measures: what is counted.
        scored: the classes that will be scored, if the split does not supply all of the predictions'.
        progress: called with (images done, images in all).

    Raises:
        InputError: as `open_predictions`; unreadable files; a prediction of another size than its label; ids
            that do not fit.
    """
    return open_predictions(folder, split, ids).evaluate(measures, scored=scored, progress=progress)


def _classes(ids: str, split: Split) -> ClassSet:
    if ids in (LABEL_IDS, TRAIN_IDS):
        return split.classes
    if "," in ids:
        return class_set([name.strip() for name in ids.split(",")], name="--prediction-ids")
    if ids not in class_set_names():
        raise InputError(
            f"--prediction-ids {ids}: use {LABEL_IDS}, {TRAIN_IDS}, the class set that the train ids are of "
            f"({', '.join(class_set_names())}) or its classes in their order, with commas"
        )
    return class_set(ids)
