"""Patch modes: sampling, clusters, the nearest one of every patch, and the cache."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from segshift.errors import InputError
from segshift.methods.patch_modes import (
    NO_MODE,
    Patches,
    Sampling,
    assign_modes,
    cached_centers,
    discover_modes,
    sample_patches,
)

CLASSES = 3
PATCHES = Patches(4, 8, CLASSES)
SAMPLING = Sampling(modes=5, patches_per_image=20, images=8)


def label_maps(number: int = 8, size: tuple[int, int] = (24, 40), seed: int = 0) -> list[Tensor]:
    """Blocks of classes of random size, a corner ignored: patches of many kinds."""
    generator = np.random.default_rng(seed)
    maps = []
    for _ in range(number):
        label = np.zeros(size, np.int64)
        for _ in range(12):
            y, x = generator.integers(0, size[0]), generator.integers(0, size[1])
            label[y : y + 9, x : x + 11] = generator.integers(0, CLASSES)
        label[:6, :10] = 255
        maps.append(torch.from_numpy(label)[None])
    return maps


class Source:
    """Preparation data of label maps in memory, which counts how often it is read."""

    def __init__(self, maps: list[Tensor], fingerprint: str = "a") -> None:
        self.maps, self.fingerprint, self.reads = maps, fingerprint, 0

    def source_labels(self, batch_size: int, limit: int | None) -> Iterator[Tensor]:
        self.reads += 1
        return iter(self.maps[:limit])

    def source_fingerprint(self) -> str:
        return self.fingerprint

    def target_images(self, batch_size: int, limit: int | None) -> Iterator[Tensor]:
        raise AssertionError("the modes need no target")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "patch_modes"


def histogram_by_hand(patch: np.ndarray) -> np.ndarray:
    """The concatenated class shares of the four quarters of a patch, counted pixel by pixel."""
    parts = []
    for rows in np.split(patch, 2, axis=0):
        for cell in np.split(rows, 2, axis=1):
            counts = np.array([(cell == c).sum() for c in range(CLASSES)], float)
            parts.append(counts / max(counts.sum(), 1))
    return np.concatenate(parts)


def test_every_patch_gets_its_nearest_center() -> None:
    centers = torch.rand(7, PATCHES.length, generator=torch.Generator().manual_seed(0))
    labels = torch.cat(label_maps(2, (14, 27)))
    modes = assign_modes(labels, centers, PATCHES)
    # 14 x 27 holds 3 x 3 patches of 4 x 8; the rest at the bottom and the right has no part in them.
    assert modes.shape == (2, 3, 3)
    seen = set()
    for n in range(2):
        for u in range(3):
            for v in range(3):
                patch = labels[n, 4 * u : 4 * u + 4, 8 * v : 8 * v + 8].numpy()
                distances = ((centers.numpy() - histogram_by_hand(patch)) ** 2).sum(axis=1)
                expected = NO_MODE if (patch != 255).mean() < 0.5 else int(distances.argmin())
                assert modes[n, u, v] == expected
                seen.add(expected)
    assert NO_MODE in seen and len(seen) > 3


@pytest.mark.parametrize(("ignored_columns", "usable"), [(0, True), (4, True), (5, False), (8, False)])
def test_a_patch_needs_enough_labels(ignored_columns: int, usable: bool) -> None:
    labels = torch.zeros(1, 4, 8, dtype=torch.int64)
    labels[..., :ignored_columns] = 255
    centers = torch.rand(3, PATCHES.length)
    assert (assign_modes(labels, centers, PATCHES).item() != NO_MODE) == usable
    assert bool(PATCHES.usable(labels)) == usable


def test_more_modes_than_the_ignored_id() -> None:
    centers = torch.full((300, PATCHES.length), 9.0)
    centers[255] = 0.0
    labels = torch.zeros(1, 4, 8, dtype=torch.int64)
    assert assign_modes(labels, centers, PATCHES).item() == 255 != NO_MODE


def test_samples_are_windows_of_their_maps_at_random_places() -> None:
    # Every pixel has a number of its own, so that a window tells where it comes from.
    numbers = torch.arange(24 * 40).view(1, 24, 40)
    patches = Patches(4, 8, classes=24 * 40)
    (drawn,) = sample_patches([numbers], patches, replace(SAMPLING, patches_per_image=400))
    assert drawn.shape == (400, 4, 8)
    tops, lefts = drawn[:, 0, 0] // 40, drawn[:, 0, 0] % 40
    for patch, top, left in zip(drawn, tops, lefts, strict=True):
        assert torch.equal(patch, numbers[0, top : top + 4, left : left + 8])
    assert (tops.min(), tops.max()) == (0, 20) and (lefts.min(), lefts.max()) == (0, 32)


def test_samples_depend_on_the_seed_alone_and_leave_out_what_is_ignored() -> None:
    maps = label_maps()
    first, again = (list(sample_patches(maps, PATCHES, SAMPLING)) for _ in range(2))
    assert len(first) == len(maps)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    other = list(sample_patches(maps, PATCHES, replace(SAMPLING, seed=1)))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert all((patch == 255).float().mean() <= 0.5 for drawn in first for patch in drawn)
    assert any(len(drawn) < SAMPLING.patches_per_image for drawn in first)


def test_modes_are_means_of_their_members_the_largest_first() -> None:
    samples = list(sample_patches(label_maps(), PATCHES, SAMPLING))
    modes = discover_modes(samples, PATCHES, SAMPLING)
    drawn = torch.cat(samples).numpy()
    histograms = np.stack([histogram_by_hand(patch) for patch in drawn])
    assert modes.assignment.shape == (len(drawn),)
    assert modes.shares.tolist() == sorted(modes.shares.tolist(), reverse=True)
    for mode in range(SAMPLING.modes):
        members = modes.assignment.numpy() == mode
        assert modes.shares[mode].item() == pytest.approx(members.mean())
        np.testing.assert_allclose(modes.centers[mode].numpy(), histograms[members].mean(axis=0), atol=1e-6)


def test_what_cannot_be_clustered_is_said_in_one_line() -> None:
    empty = [torch.full((1, 24, 40), 255)]
    flat = [torch.zeros(1, 24, 40, dtype=torch.int64)]
    with pytest.raises(InputError, match=r"labelled to 50 %.*lower min_labelled"):
        discover_modes(sample_patches(empty, PATCHES, SAMPLING), PATCHES, SAMPLING)
    with pytest.raises(InputError, match=r"modes = 5: .* only 1 different patches; ask for at most 1 modes"):
        discover_modes(sample_patches(flat, PATCHES, SAMPLING), PATCHES, SAMPLING)
    with pytest.raises(InputError, match="8 x 4 px does not fit into a label map of 7 x 9"):
        list(sample_patches([torch.zeros(1, 9, 7, dtype=torch.int64)], PATCHES, SAMPLING))


def test_centers_are_computed_once(cache: Path) -> None:
    source = Source(label_maps())
    first = cached_centers(source, PATCHES, SAMPLING)
    samples = sample_patches(label_maps(), PATCHES, SAMPLING)
    assert torch.equal(first, discover_modes(samples, PATCHES, SAMPLING).centers)
    assert torch.equal(cached_centers(source, PATCHES, SAMPLING), first) and source.reads == 1
    assert len(list(cache.iterdir())) == 1


def test_whatever_changes_the_modes_is_another_file(cache: Path) -> None:
    maps = label_maps()
    cached_centers(Source(maps), PATCHES, SAMPLING)
    variants = [
        ("b", PATCHES, SAMPLING),
        ("a", replace(PATCHES, height_px=6), SAMPLING),
        ("a", replace(PATCHES, min_labelled=0.9), SAMPLING),
        ("a", PATCHES, replace(SAMPLING, modes=4)),
        ("a", PATCHES, replace(SAMPLING, seed=1)),
        ("a", PATCHES, replace(SAMPLING, images=4)),
        ("a", PATCHES, replace(SAMPLING, patches_per_image=10)),
    ]
    for fingerprint, patches, sampling in variants:
        source = Source(maps, fingerprint)
        cached_centers(source, patches, sampling)
        assert source.reads == 1
    assert len(list(cache.iterdir())) == 1 + len(variants)


@pytest.mark.parametrize("damage", ["half", "empty", "garbage", "other shape", "not finite"])
def test_a_damaged_file_is_made_again(cache: Path, damage: str) -> None:
    from safetensors.torch import save_file

    source = Source(label_maps())
    centers = cached_centers(source, PATCHES, SAMPLING)
    (path,) = cache.iterdir()
    content = path.read_bytes()
    if damage == "half":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "garbage":
        path.write_bytes(b"\xff" * len(content))
    elif damage == "other shape":
        save_file({"centers": centers[:2].clone()}, path)
    else:
        save_file({"centers": torch.full_like(centers, float("nan"))}, path)
    assert torch.equal(cached_centers(source, PATCHES, SAMPLING), centers) and source.reads == 2
    assert path.read_bytes() == content


def test_a_cache_that_cannot_be_written_costs_time_only(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    source = Source(label_maps())
    first = cached_centers(source, PATCHES, SAMPLING)
    assert torch.equal(cached_centers(source, PATCHES, SAMPLING), first) and source.reads == 2
