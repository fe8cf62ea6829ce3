"""A network's predictions of image files as files: labels, pictures, probabilities, in bands of rows."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segshift.data.decoder import build_decoder
from segshift.data.images import read_image
from segshift.data.labels import ClassSet
from segshift.data.resolve import describe
from segshift.errors import InputError
from segshift.evaluation.sidecar import Sidecar, train_id_sidecar
from segshift.files import atomic_path
from segshift.folders import model_file
from segshift.models.batch_norm import evaluating
from segshift.models.inference_config import Inference
from segshift.models.segmenter import Segmenter
from segshift.pictures import colorize, legend, overlay
from segshift.sizes import HeightWidth
from segshift.train_ids import IGNORE

TRAIN_IDS = "train_ids"
# The text of a label file that says what it was made of: network and settings, image, kinds of files.
_MADE_OF = "segshift"
# What the temporary file beside an output adds to its name, generously.
_LONGEST_NAME = 255 - 32


@dataclass(frozen=True)
class Outputs:
    """What is written for an image NAME besides NAME_label.png.

    Attributes:
        ids: values of the label files: `train_ids`, or the data set whose label ids they are to be.
        overlay: NAME_overlay.png, the classes' colors on the image.
        color: NAME_color.png, the classes' colors alone.
        probabilities: NAME_probabilities.npz with `probabilities`, (H, W, C) float16, and `classes`; and
            NAME_confidence.png, the largest of them, 0 ... 255.
    """

    ids: str = TRAIN_IDS
    overlay: bool = True
    color: bool = False
    probabilities: bool = False

    def files(self, folder: Path, name: str) -> dict[str, Path]:
        """The kinds and paths of an image's files."""
        kinds = {
            "label": "png",
            **({"overlay": "png"} if self.overlay else {}),
            **({"color": "png"} if self.color else {}),
            **({"confidence": "png", "probabilities": "npz"} if self.probabilities else {}),
        }
        return {kind: folder / f"{name}_{kind}.{suffix}" for kind, suffix in kinds.items()}


@dataclass
class Predictor:
    """Predicts images into a folder. Every file is there whole or not at all.

    Attributes:
        segmenter: on the device that it is to be used on.
        model: its file or run folder, for the sidecar.
        folder: of the results.
        inference: how the network sees images.
        outputs: what is written.
        upright: whether images are turned as their EXIF orientation says.
    """

    segmenter: Segmenter
    model: str
    folder: Path
    inference: Inference = field(default_factory=Inference)
    outputs: Outputs = Outputs()
    upright: bool = True
    _pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))

    def begin(self, names: Iterable[str]) -> None:
        """Say beside the files what they mean, before the first is written.

        Raises:
            InputError: names that are too long, a data set without label ids for the network's classes, or a
                folder with predictions of another meaning.
        """
        for name in names:
            for path in self.outputs.files(self.folder, name).values():
                if len(os.fsencode(path.name)) > _LONGEST_NAME:
                    raise InputError(f"{path.name}: the name of this result is too long; rename the image")
        classes = self.segmenter.classes
        if self.outputs.ids == TRAIN_IDS:
            sidecar = train_id_sidecar(self.model, classes, upright=self.upright)
        else:
            sidecar = Sidecar(
                model=self.model,
                ids="label_ids",
                classes=label_ids_of(self.outputs.ids, classes),
                no_class=None,
                upright=self.upright,
                palette=classes.colors,
            )
        self._sidecar = sidecar.model_copy(update={"made_with": self._fingerprint()})
        self._sidecar.claim(self.folder)

    def _fingerprint(self) -> str:
        """A hash of the network's weights, or of its name where it is no file, and of how it sees images."""
        file = model_file(self.model)
        weights = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else str(self.model)
        settings = self.inference.model_dump(mode="json")
        return hashlib.sha256(json.dumps([weights, settings], sort_keys=True).encode()).hexdigest()[:16]

    def finished(self, name: str, image: Path) -> bool:
        """Whether an image's files are there from an earlier call with this network and these settings.

        They are then counted for the legend. What they were made of stands in the label file, which is
        written last; times take no part, since clocks are set and copies keep their originals' times.
        """
        files = self.outputs.files(self.folder, name)
        if not all(path.is_file() for path in files.values()):
            return False
        try:
            with Image.open(files["label"]) as label:
                if not self._is_of(label.info.get(_MADE_OF), image, files):
                    return False
                counts = np.bincount(np.asarray(label).ravel(), minlength=2**16)
        except OSError:
            return False
        self._pixels[: len(self._sidecar.classes)] += counts[list(self._sidecar.classes.values())]
        return True

    def read(self, image: Path) -> NDArray[np.uint8]:
        """The image as `predict` takes it. Raises InputError for one that cannot be read."""
        return read_image(image, upright=self.upright)

    def _is_of(self, said: object, image: Path, kinds: Iterable[str]) -> bool:
        """Whether a label file's note is about this network, these settings, this image and these files."""
        words = said.split() if isinstance(said, str) else []
        return (
            len(words) == 3
            and words[0] == self._sidecar.made_with
            and set(kinds) <= set(words[2].split(","))
            and words[1] == _hash_of(image)
        )

    def predict(self, name: str, pixels: NDArray[np.uint8], image: Path | None = None) -> dict[str, Path]:
        """Write an image's files and return them by kind.

        At any time there are the image, its label map, and a band of rows of the classes' scores.

        Args:
            name: of the files.
            pixels: (H, W, 3) uint8 RGB; they are overwritten.
            image: their file, by which `finished` knows the results again; None for pixels that have none.

        Raises:
            InputError: scores that are not finite.
        """
        files = self.outputs.files(self.folder, name)
        made_of = None if image is None else f"{self._sidecar.made_with} {_hash_of(image)} {','.join(files)}"
        height, width = pixels.shape[:2]
        label = np.empty((height, width), np.uint8)
        confidence = np.empty((height, width), np.uint8) if self.outputs.probabilities else None
        segmenter = self.segmenter
        with ExitStack() as stack:
            stack.enter_context(evaluating(segmenter))
            stack.enter_context(torch.inference_mode())
            stream = None
            if self.outputs.probabilities:
                temporary = stack.enter_context(atomic_path(files["probabilities"]))
                stream = stack.enter_context(
                    _array_in_npz(temporary, (height, width, segmenter.classes.count), segmenter.class_names)
                )
            images = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(segmenter.device)
            for band in self.inference.bands([segmenter], images, HeightWidth((height, width))):
                label[band.rows] = ids = band.ids[0].cpu().numpy()
                self.count(ids)
                if stream is not None and confidence is not None:
                    probabilities = band.probabilities[0]
                    confidence[band.rows] = (255 * probabilities.amax(0)).round().byte().cpu().numpy()
                    stream.write(probabilities.permute(1, 2, 0).half().cpu().numpy().tobytes())
        if confidence is not None:
            _save(files["confidence"], confidence)
        if self.outputs.color:
            _save(files["color"], colorize(label, segmenter.classes))
        if self.outputs.overlay:
            # In place: nobody needs the image any more, and it may be large.
            _save(files["overlay"], overlay(pixels, label, segmenter.classes, out=pixels))
        # Last: it says that all of them are there.
        _save(files["label"], self._values(label), made_of)
        return files

    def count(self, label: NDArray[np.uint8]) -> None:
        """Count the pixels of a label map of train ids for the legend."""
        self._pixels += np.bincount(label.ravel(), minlength=256)

    @property
    def pixels(self) -> torch.Tensor:
        """(256,) int64, how many were predicted as each class, for the legend."""
        return torch.from_numpy(self._pixels)

    def write_legend(self, pixels: torch.Tensor | None = None) -> Path:
        """legend.png: the classes that were predicted, the most frequent first.

        Args:
            pixels: those of all processes that share the images; None for this one's alone.
        """
        counted = (self.pixels if pixels is None else pixels).tolist()
        path = self.folder / "legend.png"
        present = [index for index, count in enumerate(counted) if count]
        present.sort(key=lambda index: -counted[index])
        with atomic_path(path) as temporary:
            legend(self.segmenter.classes, present).save(temporary)
        return path

    def _values(self, label: NDArray[np.uint8]) -> NDArray[Any]:
        """The values that the label file holds."""
        if self.outputs.ids == TRAIN_IDS:
            return label
        values = list(self._sidecar.classes.values())
        kind = np.uint8 if max(values) < 256 else np.uint16
        return np.array(values, kind)[label]


def label_ids_of(dataset: str, classes: ClassSet) -> dict[str, int]:
    """For each class its value in a data set's label files, the first that its map names.

    Args:
        dataset: a name of `segshift data list` or a YAML; its files are not needed.
        classes: of the network.

    Raises:
        InputError: no such data set, labels that are colors, or a class that it lacks.
    """
    entry = describe(dataset)
    if entry.spec is None:
        return {name: train_id for train_id, name in enumerate(entry.classes.names)}
    if entry.spec.labels.kind == "rgb":
        raise InputError(f"--ids {dataset}: its labels are colors, not ids; use train_ids and --color")
    decoder = build_decoder(entry.spec.labels, entry.classes, dataset)
    first: dict[str, int] = {}
    for value, train_id in decoder.values.items():
        if train_id != IGNORE:
            first.setdefault(entry.classes.names[train_id], value)
    missing = [name for name in classes.names if name not in first]
    if missing:
        raise InputError(
            f"--ids {dataset}: has no ids for {', '.join(missing)} of the network's classes; use train_ids"
        )
    return {name: first[name] for name in classes.names}


def _save(path: Path, pixels: NDArray[Any], made_of: str | None = None) -> None:
    note = PngInfo()
    if made_of is not None:
        note.add_text(_MADE_OF, made_of)
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", pnginfo=note)


def _hash_of(image: Path) -> str:
    with image.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _array_in_npz(path: Path, shape: tuple[int, ...], classes: Sequence[str]) -> Iterator[IO[bytes]]:
    """A stream into `probabilities` of a new NPZ file, row by row; `classes` is written beside it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("classes.npy", "w") as stream:
            np.lib.format.write_array(stream, np.array(classes))
        with archive.open("probabilities.npy", "w", force_zip64=True) as stream:
            header = {"descr": "<f2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            yield stream
