"""Where a network comes from: its run, and the images that it is compared, calibrated and scored on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segshift.config import parse
from segshift.data.images import read_image
from segshift.data.photos import find_photos
from segshift.data.resolve import resolve
from segshift.data.sampling import evenly
from segshift.data.spec import Split
from segshift.documents import read_yaml
from segshift.engine.datasets import evaluation_split
from segshift.engine.recipe import Recipe
from segshift.errors import InputError
from segshift.files import expanded
from segshift.folders import RunFolder


@dataclass(frozen=True)
class Origin:
    """What is known of a model: with its run folder everything, of a file alone what the file says.

    Attributes:
        model: the argument that names it.
    """

    model: str | Path

    @cached_property
    def run(self) -> RunFolder:
        """The folder of its run, or the folder that it lies in."""
        return RunFolder.of(self.model)

    @cached_property
    def recipe(self) -> Recipe | None:
        """What it was trained by. Raises InputError for a damaged file."""
        if not self.run.is_run:
            return None
        return parse(Recipe, read_yaml(self.run.config), str(self.run.config))

    @cached_property
    def results(self) -> dict[str, Any] | None:
        """The scores of its run. Raises InputError for a damaged file."""
        return self.run.read_results()

    def starts(self) -> list["Origin"]:
        """The models that its training went on from, the last first, as far as their folders lie there."""
        found: list[Origin] = []
        current: Origin = self
        while current.recipe is not None and current.recipe.init_from is not None:
            current = Origin(current.recipe.init_from)
            if current in found:
                break
            found.append(current)
        return found

    def unlabelled(self, images: str | None) -> list[Path]:
        """The files of unlabelled images like those that the network is for.

        Args:
            images: an image, a folder of them or a dataset argument; None takes the run's target.

        Raises:
            InputError: there are none.
        """
        if images is not None:
            if expanded(images).exists() and not images.endswith((".yaml", ".yml")):
                return list(find_photos([expanded(images)]).named.values())
            return _files(resolve(images, labels="unused"))
        target = None if self.recipe is None else self.recipe.target
        if target is None or target.dataset is None:
            raise InputError(
                f"{self.model}: names no target images to compare the exported file on; give --images FOLDER"
            )
        try:
            return _files(resolve(target.dataset, target.split, labels="unused"))
        except InputError as error:
            raise InputError(f"{error} (the run's target; or give other images with --images)") from None

    def labelled(self, data: str | None) -> Split | None:
        """The split to score on.

        Args:
            data: a dataset argument; None takes what the run is evaluated on.

        Returns:
            None where the run knows of no labelled images, or they are gone.

        Raises:
            InputError: the data that were asked for are not there, or have no labels.
        """
        if data is not None:
            split = resolve(data, "val")
            if not split.labelled:
                raise InputError(f"--data {data}: has no labels to score with; name a labelled split")
            return split
        try:
            return None if self.recipe is None else evaluation_split(self.recipe)
        except InputError:
            return None


def read_some(files: Sequence[Path], count: int) -> list[Tensor]:
    """At most `count` images, evenly spread over `files`: (3, H, W) uint8. InputError for bad files."""
    chosen = [files[index] for index in evenly(len(files), count)]
    return [torch.from_numpy(read_image(file, upright=True)).permute(2, 0, 1).contiguous() for file in chosen]


def _files(split: Split) -> list[Path]:
    return [sample.image for sample in split.samples]
