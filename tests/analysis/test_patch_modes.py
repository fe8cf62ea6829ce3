"""The picture of the patch modes: what a report says, and what is drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segshift.analysis.patch_modes import report_modes
from segshift.data.resolve import resolve
from segshift.errors import InputError
from segshift.methods.patch_modes import Patches, Sampling, discover_modes, sample_patches
from segshift.report.drawings.patch_modes import draw_modes

PATCHES, SAMPLING = Patches(8, 12, classes=3), Sampling(modes=6)


def test_a_report_is_what_the_term_would_find(toy_source: Path) -> None:
    split = resolve(f"{toy_source}:train")
    report = report_modes(split, PATCHES, SAMPLING)
    maps = [torch.from_numpy(split.decoder.read(s.label))[None].long() for s in split.samples]
    expected = discover_modes(sample_patches(maps, PATCHES, SAMPLING), PATCHES, SAMPLING)
    assert torch.equal(report.modes.centers, expected.centers)
    assert report.sampled == len(expected.assignment) == 6 * SAMPLING.patches_per_image
    document = report.to_dict()
    assert document["patch_px"] == [12, 8] and len(document["modes"]) == 6
    for mode in document["modes"]:
        assert sum(mode["classes"].values()) == pytest.approx(1, abs=1e-5)
    # The toy's maps are half sky, half ground, and a box.
    assert {next(iter(mode["classes"])) for mode in document["modes"]} == {"sky", "ground", "box"}


def test_examples_belong_to_their_modes_the_most_typical_first(toy_source: Path) -> None:
    report = report_modes(resolve(f"{toy_source}:train"), PATCHES, SAMPLING)
    for mode, examples in enumerate(report.examples):
        assert 1 <= len(examples) <= 8 and examples.dtype == np.uint8
        histograms = PATCHES.histograms(torch.from_numpy(examples).long())[:, 0, 0]
        distances = torch.cdist(histograms, report.modes.centers)
        own = distances[:, mode]
        assert bool((own <= distances.min(dim=1).values + 1e-5).all())
        assert own.tolist() == sorted(own.tolist())


def test_label_maps_are_resized_like_training_labels_and_images_stay_closed(
    toy_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(path: Path) -> None:
        raise AssertionError(f"opened {path}")

    monkeypatch.setattr("segshift.data.dataset.read_image", unexpected)
    monkeypatch.setattr("segshift.data.images.read_image", unexpected)
    report = report_modes(resolve(f"{toy_source}:train"), PATCHES, SAMPLING, size=(24, 16))
    own = report_modes(resolve(f"{toy_source}:train"), PATCHES, SAMPLING)
    assert not torch.equal(report.modes.centers, own.modes.centers)
    with pytest.raises(InputError, match="12 x 8 px does not fit into a label map of 10 x 6"):
        report_modes(resolve(f"{toy_source}:train"), PATCHES, SAMPLING, size=(10, 6))


def test_labels_are_needed(toy_source: Path) -> None:
    with pytest.raises(InputError, match="has no labels, and patch modes are modes of label maps"):
        report_modes(resolve(f"{toy_source}:unlabelled"), PATCHES, SAMPLING)


@pytest.mark.parametrize("shown", [1, 5, 99])
def test_the_picture_shows_the_patches_in_their_classes_colors(
    toy_source: Path, tmp_path: Path, shown: int
) -> None:
    report = report_modes(resolve(f"{toy_source}:train"), PATCHES, SAMPLING)
    path = tmp_path / "out" / "modes.png"
    draw_modes(report, path, shown)
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape[2] == 3 and list(path.parent.iterdir()) == [path]
    number = min(shown, 6)
    for mode in range(number):
        for color in np.unique(report.classes.palette[report.examples[mode]].reshape(-1, 3), axis=0):
            # A patch is drawn some 80 px wide: its colors fill areas, not letters.
            assert (pixels == color).all(axis=2).sum() > 20
