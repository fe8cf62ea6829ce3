"""Writing a data set that a network made: images, train-id labels, a list of both, dataset.yaml last."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segshift import files
from segshift.data.content import content_hashes
from segshift.data.convert import JPEG_QUALITY
from segshift.data.finder import Sample
from segshift.data.labels import ClassSet
from segshift.data.spec import Split
from segshift.folders import DatasetFolder, check_name, check_stem

ImageFormat = Literal["jpeg", "png"]


@dataclass(frozen=True)
class SplitWriter:
    """Where the files of one split go, and how they are written.

    Every file is written atomically, so one that exists is whole. Until `finish` the folder holds no data
    set; after it the split is exactly what the list names.

    Attributes:
        folder: of the data set.
        split: its name.
        image_format: of images that `write_image` writes: jpeg (quality 95, full color resolution) or png.
    """

    folder: DatasetFolder
    split: str
    image_format: ImageFormat = "jpeg"

    def image_path(self, stem: str) -> Path:
        """Where the image of a sample goes."""
        return self.folder.path / self._pattern("images").replace("{stem}", stem)

    def label_path(self, stem: str) -> Path:
        """Where the label of a sample goes."""
        return self.folder.path / self._pattern("labels").replace("{stem}", stem)

    def write_image(self, stem: str, pixels: NDArray[np.uint8]) -> None:
        """Write (H, W, 3) uint8 RGB."""
        settings: dict[str, Any] = {"format": "PNG", "compress_level": 1}
        if self.image_format == "jpeg":
            # 4:4:4: halved color resolution would blur colors over the labels' borders.
            settings = {"format": "JPEG", "quality": JPEG_QUALITY, "subsampling": 0}
        _save(self.image_path(stem), pixels, settings)

    def write_label(self, stem: str, train_ids: NDArray[np.uint8]) -> None:
        """Write (H, W) uint8 train ids, 255 = ignore."""
        _save(self.label_path(stem), train_ids, {"format": "PNG", "compress_level": 1})

    def finish(
        self, stems: Sequence[str], classes: ClassSet, *, name: str, description: str, labelled: bool = True
    ) -> Path:
        """Write the list of the split and the dataset.yaml, which makes the folder a data set.

        Args:
            stems: the samples, in order; their files are there.
            classes: of the train ids.
            name, description: of the data set.
            labelled: whether the samples have labels.

        Returns:
            The path of the dataset.yaml.
        """
        listed = f"lists/{self.split}.txt"
        self.folder.write_list(listed, stems)
        rule = {"list": listed, "images": self._pattern("images")}
        if labelled:
            rule["labels"] = self._pattern("labels")
        spec = {
            "name": name,
            "description": description,
            "root": ".",
            "splits": {self.split: rule},
            "classes": list(classes.names),
            "palette": [list(color) for color in classes.colors],
            "labels": {"kind": "train_ids", "other": "error"},
        }
        return self.folder.finish(spec, "Written by segshift.")

    def _pattern(self, kind: Literal["images", "labels"]) -> str:
        suffix = "jpg" if kind == "images" and self.image_format == "jpeg" else "png"
        return f"{kind}/{self.split}/{{stem}}.{suffix}"


def some_samples(split: Split, limit: int | None) -> tuple[Sample, ...]:
    """The samples of a split, or `limit` of them, evenly spread.

    Raises:
        InputError: a split's name that cannot name a folder, or a stem that cannot name a file below one.
    """
    check_name(split.name, f"{split.dataset}, split")
    samples = split.samples
    if limit is not None and limit < len(samples):
        samples = tuple(samples[index * len(samples) // limit] for index in range(limit))
    for sample in samples:
        check_stem(sample.stem, split.title)
    return samples


def fingerprint(samples: Sequence[Sample]) -> str:
    """A hash of the samples' names and their images' contents; where the files lie does not matter."""
    digest = hashlib.sha256()
    for sample in samples:
        files.size_of(sample.image)  # names one that is not there
    contents = content_hashes([sample.image for sample in samples])
    for sample, content in zip(samples, contents, strict=True):
        line = f"{sample.stem} {content}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _save(path: Path, pixels: NDArray[np.uint8], settings: dict[str, Any]) -> None:
    with files.atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, **settings)
