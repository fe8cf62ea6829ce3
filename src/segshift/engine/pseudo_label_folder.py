"""The folder of pseudo labels: what is in it, whose it is, and how far it has come."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segshift.data.content import content_hashes
from segshift.data.finder import Sample
from segshift.data.labels import ClassSet
from segshift.data.resolve import resolve
from segshift.data.spec import Split
from segshift.documents import read_json
from segshift.engine.pseudo_label_rules import ConfidenceHistogram
from segshift.errors import InputError
from segshift.evaluation import judge
from segshift.files import atomic_path, size_of, write_json
from segshift.folders import SPEC, DatasetFolder, Journal, check_stem, is_free

SUMMARY = "pseudo_labels.json"
_CLAIM = "settings.json"
_HISTOGRAM = "confidences.npz"
_RECORD = "progress.jsonl"
_LIST = "train.txt"
# What a data set's YAML reads as a pattern.
_SPECIAL = re.compile(r"[*?\[{}]")
_HEADER = """\
Pseudo labels, 255 where there is none: a network's predictions, not truth. `splits.train.images` leads from
this folder to the images they belong to; correct it after moving either."""


class PseudoLabelFolder:
    """Where pseudo labels of some images go.

    Files: labels/ (PNG train ids), train.txt and dataset.yaml (an ordinary data set), pseudo_labels.json
    (written last), settings.json (written first: whose folder it is), and images/ if they are copied.

    Attributes:
        images: the images, in order, each once.
    """

    def __init__(
        self, folder: Path, samples: Sequence[Sample], settings: Mapping[str, Any], copy_images: bool
    ) -> None:
        """Nothing is written yet.

        Args:
            folder: where to; need not exist.
            samples: the images.
            settings: all that the labels depend on besides the images; for JSON.
            copy_images: whether they are to lie beside the labels.

        Raises:
            InputError: no image, or a path to the images that a data set's YAML cannot hold.
        """
        self.folder, self.settings, self.copies = folder, dict(settings), copy_images
        self._dataset, self._journal = DatasetFolder(folder, _CLAIM), Journal(folder / _RECORD)
        # Folders without links, since `..` in a path leaves the folder that a link leads to; but a file's
        # link keeps its own name.
        self.images = list(
            dict.fromkeys(Path(os.path.realpath(one.image.parent)) / one.image.name for one in samples)
        )
        if not self.images:
            raise InputError(f"{folder}: there are no images to label; check the split")
        self._root = Path(os.path.commonpath([image.parent for image in self.images]))
        suffixes = {image.suffix for image in self.images}
        # One suffix belongs into the pattern; several stay in the names.
        self._suffix = suffixes.pop() if len(suffixes) == 1 else ""
        names = [image.relative_to(self._root).as_posix() for image in self.images]
        self._stems = [name.removesuffix(self._suffix) if self._suffix else name for name in names]
        for stem in self._stems:
            check_stem(stem, str(self._root))
        for image in self.images:
            size_of(image)  # names one that is not there
        contents = content_hashes(self.images)
        identity = json.dumps([self.settings, list(zip(names, contents, strict=True))], sort_keys=True)
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()[:16]
        if not copy_images and _SPECIAL.search(self._way()):
            raise InputError(
                f"{self._way()}: the way from {folder} to the images holds one of * ? [ {{ }}, which have a "
                "meaning in dataset.yaml; copy the images (copy_images: true) or rename that folder"
            )

    def finished(self) -> dict[str, Any] | None:
        """The summary of a finished folder, else None. Its dataset.yaml then leads to the images again.

        Raises:
            InputError: a folder finished with another model, other settings or other images.
        """
        if not (self.folder / SUMMARY).is_file():
            return None
        summary = self._read(SUMMARY)
        self._write_dataset(summary["class_names"], summary["palette"])
        self._remove_working_files()
        return summary

    def claim(self) -> None:
        """Say whose folder it is. Raises InputError for one that holds something else."""
        if (self.folder / _CLAIM).is_file():
            self._read(_CLAIM)
            return
        if not is_free(self.folder):
            raise InputError(f"{self.folder}: holds other files; give a new or empty folder")
        write_json(self.folder / _CLAIM, {"fingerprint": self.fingerprint, **self.settings})

    def load_histogram(self, histogram: ConfidenceHistogram) -> int:
        """Fill in what an earlier call counted, and return the number of its images."""
        path = self.folder / _HISTOGRAM
        if not path.is_file():
            return 0
        with np.load(path) as file:
            histogram.counts = torch.from_numpy(file["counts"])
            return int(file["images"])

    def save_histogram(self, histogram: ConfidenceHistogram, images: int) -> None:
        """Keep the counts of the first `images` images."""
        with atomic_path(self.folder / _HISTOGRAM) as temporary:
            np.savez(temporary, counts=histogram.counts.numpy(), images=images)

    def label_file(self, index: int) -> Path:
        """Where an image's labels go."""
        return self.folder / "labels" / f"{self._stems[index]}.png"

    def copy_image(self, index: int) -> None:
        """Copy an image beside its labels if the settings say so."""
        if self.copies:
            with atomic_path(self.folder / "images" / f"{self._stems[index]}{self._suffix}") as temporary:
                shutil.copyfile(self.images[index], temporary)

    def record(self, images: int, predicted: Tensor, kept: Tensor) -> None:
        """Note that the next `images` images are written, with (K,) pixels predicted and kept per class."""
        self._journal.append({"images": images, "predicted": predicted.tolist(), "kept": kept.tolist()})

    def counted(self, classes: int) -> tuple[int, Tensor, Tensor]:
        """How many images an earlier call wrote, with the (K,) pixels predicted and kept in them."""
        lines = self._journal.read()
        none = torch.zeros(classes, dtype=torch.int64)
        predicted = sum((torch.tensor(line["predicted"]) for line in lines), none)
        kept = sum((torch.tensor(line["kept"]) for line in lines), none)
        return sum(line["images"] for line in lines), predicted, kept

    def finish(
        self,
        classes: ClassSet,
        predicted: Tensor,
        kept: Tensor,
        thresholds: Sequence[float | None],
        uses_target_labels: bool | None,
    ) -> dict[str, Any]:
        """Write the data set and, at last, the summary, which is returned.

        Args:
            classes: of the labels.
            predicted: (K,) pixels of each class.
            kept: (K,) those among them that have a label.
            thresholds: K confidences from which they have one; None where there is none.
            uses_target_labels: whether the network that labels has seen target labels; None if unknown.
        """
        palette = [list(color) for color in classes.colors]
        self._write_dataset(classes.names, palette)
        rows = zip(classes.names, predicted.tolist(), kept.tolist(), thresholds, strict=True)
        summary = {
            "fingerprint": self.fingerprint,
            **self.settings,
            "uses_target_labels": uses_target_labels,
            "images": len(self.images),
            "pixels": int(predicted.sum()),
            "kept_share": int(kept.sum()) / int(predicted.sum()),
            "classes": {
                name: {
                    "predicted_pixels": of_class,
                    "kept_pixels": chosen,
                    "kept_share": chosen / of_class if of_class else None,
                    "threshold": threshold,
                }
                for name, of_class, chosen, threshold in rows
            },
            "class_names": list(classes.names),
            "palette": palette,
        }
        write_json(self.folder / SUMMARY, summary)
        self._remove_working_files()
        return summary

    def _remove_working_files(self) -> None:
        """What only a call that goes on needs."""
        for name in (_HISTOGRAM, _RECORD, _CLAIM):
            (self.folder / name).unlink(missing_ok=True)

    def _way(self) -> str:
        """The path from the folder to the images' common folder."""
        return Path(os.path.relpath(self._root, os.path.realpath(self.folder))).as_posix()

    def _write_dataset(self, class_names: Sequence[str], palette: Sequence[Sequence[int]]) -> None:
        way = "images" if self.copies else self._way()
        data = {
            "name": "pseudo-labels",
            "root": ".",
            "splits": {
                "train": {
                    "images": f"{way}/{{stem}}{self._suffix}",
                    "labels": "labels/{stem}.png",
                    "list": _LIST,
                }
            },
            "classes": list(class_names),
            "palette": [list(color) for color in palette],
            "labels": {"kind": "train_ids"},
        }
        self._dataset.write_list(_LIST, self._stems)
        self._dataset.finish(data, _HEADER)

    def _read(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        try:
            data: dict[str, Any] = read_json(path)
            theirs = data["fingerprint"]
        except (InputError, KeyError, TypeError):
            raise InputError(f"{path}: cannot be read; remove the folder or give another one") from None
        if theirs != self.fingerprint:
            changed = [key for key, value in self.settings.items() if data.get(key) != value]
            what = f"{', '.join(changed)} differ" if changed else "the images differ"
            raise InputError(
                f"{self.folder}: holds pseudo labels made otherwise ({what}); remove it or give another one"
            )
        return data


def check_pseudo_labels(
    folder: Path, truth: Iterable[Tensor | None], class_names: Sequence[str]
) -> dict[str, Any]:
    """How right pseudo labels are, for information: it uses target labels.

    Args:
        folder: a finished pseudo-label folder.
        truth: (H, W) uint8 train ids of each of its images, in order, 255 = ignore.
        class_names: of the train ids.

    Returns:
        `accuracy` of the kept pixels, `precision` of each class's kept pixels (None without any), the number
        of `pixels` compared, and `uses_target_labels`: True.
    """
    split = resolve(str(folder / SPEC), "train")
    confusion = judge(_given_and_true(split, truth), class_names, complete=False).confusion
    classes = len(class_names)
    right, kept = np.diag(confusion), confusion.sum(0)[:classes]
    pixels = int(kept.sum())
    return {
        "uses_target_labels": True,
        "accuracy": float(right.sum() / pixels) if pixels else None,
        "precision": {
            name: float(right[k] / kept[k]) if kept[k] else None for k, name in enumerate(class_names)
        },
        "pixels": pixels,
    }


def _given_and_true(split: Split, truth: Iterable[Tensor | None]) -> Iterator[tuple[str, Tensor, Tensor]]:
    for sample, label in zip(split.samples, truth, strict=True):
        assert sample.label is not None and label is not None  # both data sets are labelled
        yield sample.stem, torch.from_numpy(split.decoder.read(sample.label)), label
