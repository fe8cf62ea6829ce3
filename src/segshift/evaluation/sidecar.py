"""What the label files in a folder of predictions mean, in a file beside them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from segshift.config import Strict, parse
from segshift.data.labels import ClassSet, Color
from segshift.documents import read_json
from segshift.errors import InputError
from segshift.files import write_json
from segshift.train_ids import IGNORE
from segshift.version import __version__

SIDECAR = "predictions.json"


class Sidecar(Strict):
    """Beside the label PNGs of `segshift predict`, for whoever reads them.

    Attributes:
        segshift: the version that wrote them.
        model: the network's file or run folder, as it was named.
        ids: what the values are: `train_ids`, positions in `classes`, or `label_ids`, those of a data set.
        classes: class names, in the order of the network's train ids, and their value in the files.
        no_class: the value of pixels without a class, which networks do not write.
        size: label files have their image's size.
        upright: whether images were turned as their EXIF orientation says, and the label files with them.
        palette: the classes' colors.
        made_with: a hash of the network's weights and of how it saw the images; label files that were made so
            have it in their text `segshift`.
    """

    segshift: str = __version__
    model: str = ""
    ids: Literal["train_ids", "label_ids"]
    classes: dict[str, Annotated[int, Field(ge=0, lt=2**16)]] = Field(min_length=1, max_length=IGNORE)
    no_class: Annotated[int, Field(ge=0, le=2**24 - 1)] | None = IGNORE
    size: Literal["image"] = "image"
    upright: bool = False
    palette: tuple[Color, ...] | None = None
    made_with: str | None = None

    @field_validator("classes")
    @classmethod
    def _different(cls, classes: dict[str, int]) -> dict[str, int]:
        if len({*classes.values()}) < len(classes):
            raise ValueError("two classes have the same value")
        return classes

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, in the order of the network's train ids."""
        return tuple(self.classes)

    def claim(self, folder: Path) -> None:
        """Write it before the label files; one that says the same stays.

        Raises:
            InputError: the folder's label files mean something else.
        """
        before = read_sidecar(folder)
        if before is not None and (before.classes, before.ids) != (self.classes, self.ids):
            raise InputError(
                f"{folder}: holds predictions of other classes or ids ({before.ids} of "
                f"{', '.join(before.names)}); give another --out folder or remove this one"
            )
        if before != self:
            write_json(folder / SIDECAR, self.model_dump(mode="json"))


def train_id_sidecar(model: str, classes: ClassSet, *, upright: bool = False) -> Sidecar:
    """The sidecar of label files that hold a network's train ids."""
    numbered = {name: train_id for train_id, name in enumerate(classes.names)}
    return Sidecar(model=model, ids="train_ids", classes=numbered, upright=upright, palette=classes.colors)


def read_sidecar(folder: Path) -> Sidecar | None:
    """The sidecar of a folder of predictions; None where there is none. Raises InputError."""
    path = folder / SIDECAR
    return parse(Sidecar, read_json(path), str(path)) if path.is_file() else None
