"""What the page and the HTTP API answer, without either: files and HTML from uploaded files and names."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from segshift.errors import InputError
from segshift.pictures import hex_color
from segshift.plain import visible
from segshift.serve import drawing
from segshift.serve.limits import Deadline
from segshift.serve.seeing import Seen, Viewer
from segshift.serve.temporary import new_folder, without_folder

IMAGE = "the image itself"
"""Beside the networks, what one side of the slider may show."""


@dataclass(frozen=True)
class Comparison:
    """An image as two networks see it, or as it is and as one network sees it.

    Attributes:
        sides: the pictures of the slider, left and right.
        point_at: the picture on which a pixel can be chosen.
        uncertainty: by network, the picture of its entropy.
        legend: HTML, what the colors mean and how much there is of each class.
        files: label and overlay of every network shown, of the image's own size.
    """

    sides: tuple[Path, Path]
    point_at: Path
    uncertainty: dict[str, Path]
    legend: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Answers:
    """Of the networks that are served.

    Attributes:
        viewer: that asks them.
        working: held while a request works, so that the end of the service can wait for it.
    """

    viewer: Viewer
    working: Lock = field(default_factory=Lock, repr=False)

    @property
    def names(self) -> list[str]:
        """Of the networks."""
        return list(self.viewer.models)

    def compare(self, photo: str, left: str, right: str, opacity: float) -> Comparison:
        """Everything that the page shows of an image.

        Args:
            photo: an uploaded file.
            left: a network's name, or `IMAGE`.
            right: the same.
            opacity: of the classes' colors, 0 to 1.

        Raises:
            InputError: as `Viewer.see`.
        """
        deadline = self.viewer.limits.deadline()
        seen = self._of_sides(photo, left, right, deadline)
        folder, stem = new_folder(self.viewer.folder), Path(photo).stem
        shown: dict[str, Path] = {}
        uncertainty, files = {}, []
        for index, (name, one) in enumerate(seen.items()):
            deadline.check()
            shown[name] = drawing.show_overlay(one, opacity, folder / f"shown_{index}.jpg")
            uncertainty[name] = drawing.show_entropy(one, folder / f"entropy_{index}.jpg")
            title = f"{stem}_{_in_a_name(name)}"
            files.append(drawing.write_label(one, folder / f"{title}_label.png"))
            files.append(drawing.write_overlay(one, opacity, folder / f"{title}_overlay.png"))
        first = next(iter(seen.values()))
        if IMAGE in (left, right):
            shown[IMAGE] = drawing.show_image(first.image, folder / "image.jpg")
        legend = "".join(drawing.legend_table(one, name) for name, one in seen.items())
        point_at = shown[right if right != IMAGE else left]
        return Comparison((shown[left], shown[right]), point_at, uncertainty, legend, tuple(files))

    def at_point(self, photo: str, left: str, right: str, point: tuple[int, int]) -> str:
        """HTML: the class probabilities where somebody pointed at a picture of `compare`.

        Args:
            photo: the uploaded file.
            left: as in `compare`.
            right: the same.
            point: (x, y) in px of the picture.

        Raises:
            InputError: as `Viewer.pixel`.
        """
        seen = self._of_sides(photo, left, right, self.viewer.limits.deadline())
        first = next(iter(seen.values()))
        height, width = first.ids.shape
        scale = drawing.shown_scale(first)
        x, y = (
            min(int((part + 0.5) * scale), most - 1)
            for part, most in zip(point, (width, height), strict=True)
        )
        found = {name: self.viewer.pixel(photo, name, x, y) for name in seen}
        table = drawing.probability_table(found, {name: one.classes for name, one in seen.items()})
        return f"<p>Pixel ({x}, {y}) of {width} x {height}</p>{table}"

    def label(self, photo: str, model: str, opacity: float) -> tuple[Path, Path, dict[str, float]]:
        """The label PNG (train ids) and overlay PNG of an image, and its class shares.

        Raises:
            InputError: as `Viewer.see`.
        """
        seen = self.viewer.see(photo, model)
        folder, stem = new_folder(self.viewer.folder), Path(photo).stem
        return (
            drawing.write_label(seen, folder / f"{stem}_label.png"),
            drawing.write_overlay(seen, opacity, folder / f"{stem}_overlay.png"),
            seen.shares(),
        )

    def about(self) -> dict[str, Any]:
        """The networks with their classes (in the order of the train ids) and colors, and the limits."""
        models = {
            name: {
                "classes": list(one.class_names),
                "colors": [hex_color(color) for color in one.classes.palette[: one.classes.count]],
            }
            for name, one in self.viewer.models.items()
        }
        return {"models": models, "limits": vars(self.viewer.limits)}

    def problem(self, error: Exception) -> str:
        """One line for who asked; what is no fault of theirs is told to the service's owner, too."""
        if isinstance(error, InputError):
            return without_folder(error, self.viewer.folder)
        print(visible(f"segshift serve: {type(error).__name__}: {error}").splitlines()[0], file=sys.stderr)
        return f"this did not work ({type(error).__name__}); the service goes on, its owner is told"

    def _of_sides(self, photo: str, left: str, right: str, deadline: Deadline) -> dict[str, Seen]:
        names = [name for name in dict.fromkeys((left, right)) if name != IMAGE]
        if not names:
            raise InputError("both sides show the image itself; choose a network for one of them")
        return {name: self.viewer.see(photo, name, deadline) for name in names}


def _in_a_name(model: str) -> str:
    """A network's name as part of a file's name."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in model)[:60]
