"""Patch modes: how a label map's patches look, found by clustering label histograms (AdaptPatch)."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from segshift.errors import InputError, OutputError
from segshift.files import atomic_path, cache_root
from segshift.losses import label_histograms
from segshift.methods.base import PreparationData
from segshift.methods.k_means import k_means
from segshift.train_ids import IGNORE

NO_MODE = -1
"""The mode of a patch that is mostly ignored. Not 255: there may be more modes than that."""

# Another number makes old files in the cache strangers; raise it when the same settings give other modes.
_VERSION = 1


@dataclass(frozen=True)
class Patches:
    """What a patch is.

    Attributes:
        height_px: of a patch, in px of the label map.
        width_px: likewise.
        classes: C.
        grid: cells along each side in which classes are counted.
        min_labelled: share of a patch's pixels that must have a class; other patches have no mode.
    """

    height_px: int
    width_px: int
    classes: int
    grid: int = 2
    min_labelled: float = 0.5

    @property
    def length(self) -> int:
        """The length of a patch's histogram, grid * grid * C."""
        return self.grid**2 * self.classes

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in px."""
        return self.height_px, self.width_px

    def histograms(self, labels: Tensor) -> Tensor:
        """(N, H, W) train ids to (N, U, V, length): one histogram for each patch, side by side."""
        return label_histograms(labels, self.size, self.classes, self.grid)

    def usable(self, labels: Tensor) -> Tensor:
        """(N, H, W) train ids to (N, U, V) bool: whether enough of each patch is labelled."""
        labelled = (labels != IGNORE).float()[:, None]
        return F.avg_pool2d(labelled, self.size, self.size)[:, 0] >= self.min_labelled


@dataclass(frozen=True)
class Sampling:
    """How patches are drawn and clustered.

    Attributes:
        modes: K.
        patches_per_image: random places in each label map.
        images: how many of the source's label maps are read, spread evenly.
        seed: of the places and the clustering. Not the run's seed: modes belong to the data, and runs of
            several seeds share them.
    """

    modes: int = 50
    patches_per_image: int = 25
    images: int = 2000
    seed: int = 0


@dataclass(frozen=True)
class PatchModes:
    """Clusters of label histograms, the one with most patches first.

    Attributes:
        centers: (K, length) float32 mean histograms.
        shares: (K,) float32, each mode's share of the sampled patches.
        assignment: (P,) int64, the mode of every sampled patch.
    """

    centers: Tensor
    shares: Tensor
    assignment: Tensor


def sample_patches(label_maps: Iterable[Tensor], patches: Patches, sampling: Sampling) -> Iterator[Tensor]:
    """Patches at random places of label maps, those without enough labels left out.

    Args:
        label_maps: batches (N, H, W) of train ids.
        patches: their size.
        sampling: how many, and the seed.

    Yields:
        For every map (P, height, width), P at most `patches_per_image`.

    Raises:
        InputError: a label map that is smaller than a patch.
    """
    generator = torch.Generator().manual_seed(sampling.seed)
    for batch in label_maps:
        for labels in batch:
            rows, columns = (side - patch + 1 for side, patch in zip(labels.shape, patches.size, strict=True))
            if min(rows, columns) < 1:
                raise InputError(
                    f"a patch of {patches.width_px} x {patches.height_px} px does not fit into a label map "
                    f"of {labels.shape[1]} x {labels.shape[0]}; make patches smaller or images larger"
                )
            number = (sampling.patches_per_image,)
            tops = torch.randint(rows, number, generator=generator)
            lefts = torch.randint(columns, number, generator=generator)
            windows = labels.unfold(0, patches.height_px, 1).unfold(1, patches.width_px, 1)
            drawn = windows[tops, lefts]
            yield drawn[patches.usable(drawn)[:, 0, 0]]


def discover_modes(samples: Iterable[Tensor], patches: Patches, sampling: Sampling) -> PatchModes:
    """Cluster patches by their label histograms. Only the histograms are kept, not the patches.

    Args:
        samples: (P, height, width) each, from `sample_patches`.
        patches: what a patch is.
        sampling: number of modes, and the seed.

    Raises:
        InputError: no usable patch, or fewer different ones than modes.

    Source: Tsai et al., Domain adaptation for structured output via discriminative patch representations,
    ICCV 2019, section 3.2, "patch mode discovery".
    """
    histograms = [patches.histograms(drawn)[:, 0, 0] for drawn in samples if len(drawn)]
    if not histograms:
        raise InputError(
            f"no patch of the source's label maps is labelled to {100 * patches.min_labelled:.0f} %; "
            "lower min_labelled or choose other patches"
        )
    points = torch.cat(histograms)
    try:
        found = k_means(points, sampling.modes, seed=sampling.seed)
    except ValueError:
        different = len(torch.unique(points, dim=0))
        raise InputError(
            f"modes = {sampling.modes}: the source's label maps gave only {different} different patches; "
            f"ask for at most {different} modes, or sample more patches"
        ) from None
    sizes = torch.bincount(found.assignment, minlength=sampling.modes)
    order = sizes.argsort(descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(sampling.modes))
    return PatchModes(
        found.centers[order].float(), (sizes[order] / len(points)).float(), rank[found.assignment]
    )


def cached_centers(data: PreparationData, patches: Patches, sampling: Sampling) -> Tensor:
    """(K, length) float32 mode centers of the source, from the cache or computed and put there.

    A file in the cache that is damaged is made again; a cache that cannot be written costs time only.
    """
    path = _cache_file(data.source_fingerprint(), patches, sampling)
    centers = _read(path, (sampling.modes, patches.length))
    if centers is None:
        # One map at a time: without a resize their sizes may differ.
        maps = data.source_labels(batch_size=1, limit=sampling.images)
        centers = discover_modes(sample_patches(maps, patches, sampling), patches, sampling).centers
        with suppress(OutputError), atomic_path(path) as temporary:
            save_file({"centers": centers}, temporary)
    return centers


def assign_modes(labels: Tensor, centers: Tensor, patches: Patches) -> Tensor:
    """The mode of every patch of label maps, the paper's Γ: the center nearest to the patch's histogram.

    Patches stand side by side from the top left corner; a rest at the right or the bottom in which no whole
    patch fits is left out.

    Args:
        labels: (N, H, W) train ids.
        centers: (K, length).
        patches: what a patch is.

    Returns:
        (N, U, V) int64 in 0..K-1, or NO_MODE where too little is labelled. Of equally near centers the
        first counts.
    """
    histograms = patches.histograms(labels)
    # The shortcut through a matrix product would round, and round differently on every device.
    distances = torch.cdist(
        histograms.flatten(0, 2), centers, compute_mode="donot_use_mm_for_euclid_dist"
    ).view(*histograms.shape[:3], len(centers))
    return torch.where(patches.usable(labels), distances.argmin(dim=-1), NO_MODE)


def _cache_file(fingerprint: str, patches: Patches, sampling: Sampling) -> Path:
    described = {"version": _VERSION, "source": fingerprint, **asdict(patches), **asdict(sampling)}
    key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return cache_root() / "patch_modes" / f"{key[:32]}.safetensors"


def _read(path: Path, shape: tuple[int, int]) -> Tensor | None:
    """The centers in a file of the cache; None if there is none, or it is not what was written."""
    try:
        centers = load_file(path)["centers"]
    except (OSError, KeyError, SafetensorError):
        return None
    sound = centers.shape == shape and centers.dtype == torch.float32 and bool(centers.isfinite().all())
    return centers if sound else None
