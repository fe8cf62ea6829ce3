"""Label maps and images on a canvas."""

import cv2
import numpy as np
from numpy.typing import NDArray

from segshift.analysis.diagnosis.maps import class_areas, shrink_image, vote

RANDOM = np.random.default_rng(0)


def scene(size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """Sky, ground and disks, drawn at any resolution."""
    random = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    y, x = (y + 0.5) / height, (x + 0.5) / width
    label: NDArray[np.uint8] = (y > 0.5 + 0.1 * np.sin(5 * x + random.uniform(0, 6))).astype(np.uint8)
    for train_id in (2, 3, 2, 3, 2):
        across, down, radius = random.uniform([0.1, 0.1, 0.05], [0.9, 0.9, 0.15])
        label[(x - across) ** 2 + (y - down) ** 2 < radius**2] = train_id
    return label


def test_areas_are_shares_of_cells() -> None:
    label = RANDOM.choice(np.array([0, 1, 2, 255], np.uint8), (12, 21))
    areas = class_areas(label, 3, (7, 4))
    expected = np.zeros((4, 4, 7))
    for row in range(12):
        for column in range(21):
            train_id = min(int(label[row, column]), 3)
            expected[train_id, row // 3, column // 3] += 1 / 9
    np.testing.assert_allclose(areas, expected, atol=1e-6)
    uneven = class_areas(label, 3, (5, 5))
    np.testing.assert_allclose(uneven.sum(axis=0), 1, atol=1e-5)
    # The area of a class does not depend on the grid.
    np.testing.assert_allclose(uneven.mean(axis=(1, 2)), areas.mean(axis=(1, 2)), atol=1e-5)


def test_the_resolution_of_a_map_leaves_no_trace() -> None:
    """Maps of several sizes come out alike; picking single pixels would leave ragged borders."""
    canvas = (64, 48)
    voted, picked = [], []
    for seed in range(4):
        large, small = scene((640, 480), seed), scene((150, 110), seed)
        both = [vote(class_areas(label, 4, canvas)) for label in (large, small)]
        voted.append(np.mean(both[0] != both[1]))
        nearest = [cv2.resize(label, canvas, interpolation=cv2.INTER_NEAREST) for label in (large, small)]
        picked.append(np.mean(nearest[0] != nearest[1]))
    assert np.mean(voted) < 0.006 < np.mean(picked)


def test_ignored_pixels_are_filled_from_the_nearest_cell_or_kept() -> None:
    label = np.zeros((40, 60), np.uint8)
    label[:, 30:] = 1
    label[10:30, 10:50] = 255
    filled = vote(class_areas(label, 2, (60, 40)))
    assert set(np.unique(filled)) == {0, 1}
    assert (filled[:, :29] == 0).all() and (filled[:, 31:] == 1).all()
    kept = vote(class_areas(label, 2, (60, 40)), keep_ignored=True)
    assert (kept[12:28, 12:48] == 2).all() and kept[5, 5] == 0
    assert (vote(class_areas(np.full((8, 8), 255, np.uint8), 2, (4, 4))) == 2).all()


def test_images_shrink_to_means() -> None:
    image = RANDOM.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    small = shrink_image(image, (4, 3))
    expected = image.reshape(3, 10, 4, 10, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(small, expected, atol=0.51)
