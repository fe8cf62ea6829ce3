"""The patch modes of a split: the clusters, and label patches that belong to each."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segshift.data.augmentation import Augmentation
from segshift.data.labels import ClassSet
from segshift.data.sampling import evenly
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.methods.patch_modes import Patches, PatchModes, Sampling, discover_modes, sample_patches

Pixels = NDArray[np.uint8]

EXAMPLES = 8
"""Of each mode."""

# Beyond this the examples are outliers, which would speak louder than they should among eight.
_LEAST_TYPICAL = 0.95


@dataclass(frozen=True, eq=False)
class ModesReport:
    """The modes of a labelled split, with examples.

    Attributes:
        title: data set and split.
        classes: of its labels.
        patches: what a patch is.
        modes: the clusters, the largest first.
        sampled: number of patches that were clustered.
        examples: for each mode (E, height, width) uint8 label patches, from typical to unusual.
    """

    title: str
    classes: ClassSet
    patches: Patches
    modes: PatchModes
    sampled: int
    examples: tuple[Pixels, ...] = field(repr=False)

    def class_shares(self, mode: int) -> dict[str, float]:
        """Mean share of each class in the patches of a mode, the largest first, without zeros."""
        shares = self.modes.centers[mode].view(-1, self.classes.count).mean(dim=0)
        order = shares.argsort(descending=True, stable=True).tolist()
        return {self.classes.names[index]: float(shares[index]) for index in order if shares[index] > 0}

    def to_dict(self) -> dict[str, object]:
        """Everything but the examples, for JSON."""
        return {
            "data": self.title,
            "patch_px": [self.patches.width_px, self.patches.height_px],
            "patches": self.sampled,
            "modes": [
                {"mode": mode, "share": float(share), "classes": self.class_shares(mode)}
                for mode, share in enumerate(self.modes.shares)
            ],
        }


def report_modes(
    split: Split, patches: Patches, sampling: Sampling, size: tuple[int, int] | None = None
) -> ModesReport:
    """Cluster the patches of a split's label maps, as the term `patch` does, and keep examples of each mode.

    Args:
        split: a labelled one; its images are not opened.
        patches: what a patch is; its classes are the split's.
        sampling: as in training.
        size: (width, height) to which label maps are resized; None keeps their own.

    Raises:
        InputError: a split without labels, an unreadable label, or what cannot be clustered.
    """
    if not split.labelled:
        raise InputError(
            f"{split.title} has no labels, and patch modes are modes of label maps; name another"
        )
    samples = [
        drawn.to(torch.uint8) for drawn in sample_patches(_maps(split, sampling, size), patches, sampling)
    ]
    modes = discover_modes(samples, patches, sampling)
    drawn = torch.cat(samples)
    examples = tuple(_examples(drawn, modes, patches, mode) for mode in range(len(modes.centers)))
    return ModesReport(split.title, split.classes, patches, modes, len(drawn), examples)


def _maps(split: Split, sampling: Sampling, size: tuple[int, int] | None) -> Iterator[Tensor]:
    """(1, H, W) train ids of up to `images` label maps, spread evenly."""
    resize = Augmentation(resize=size)
    for index in evenly(len(split.samples), sampling.images):
        file = split.samples[index].label
        assert file is not None  # the split is labelled
        label = torch.from_numpy(split.decoder.read(file))
        # Labels are resized together with an image; this one has nothing to show.
        _, label_map = resize(torch.zeros(3, *label.shape, dtype=torch.uint8), label, None)
        assert label_map is not None
        yield label_map[None].long()


def _examples(drawn: Tensor, modes: PatchModes, patches: Patches, mode: int) -> Pixels:
    """Members of a mode at even steps of the way from its center to almost its rim."""
    members = drawn[modes.assignment == mode]
    histograms = patches.histograms(members.long())[:, 0, 0]
    distance = (histograms - modes.centers[mode]).square().sum(dim=1)
    ranked = members[distance.argsort(stable=True)]
    places = torch.linspace(0, _LEAST_TYPICAL * (len(ranked) - 1), EXAMPLES).long()
    chosen: Pixels = ranked[torch.unique(places)].numpy()
    return chosen
