"""Boundary IoU against erosion of every class's mask by SciPy."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from segshift.errors import InputError
from segshift.evaluation import boundary_counts
from segshift.evaluation.boundary import boundary_width


def oracle(
    prediction: NDArray[np.uint8], label: NDArray[np.uint8], classes: int, width: int
) -> list[list[int]]:
    """Hits, truth and predicted per class, mask by mask; the image's border is an outline."""
    counted = label != 255
    rows = []
    for index in range(classes):
        masks = [(label == index) & counted, (prediction == index) & counted]
        edges = [
            mask & ~binary_erosion(mask, np.ones((3, 3)), iterations=width, border_value=0) for mask in masks
        ]
        rows.append([int((edges[0] & edges[1]).sum()), int(edges[0].sum()), int(edges[1].sum())])
    return np.array(rows).T.tolist()


@pytest.mark.parametrize("size", [(40, 60), (100, 150), (7, 9), (3, 200)])
@pytest.mark.parametrize("seed", range(4))
def test_counts_equal_erosion_class_by_class(size: tuple[int, int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    height, width = size

    def blocks(values: int) -> NDArray[np.uint8]:
        coarse = generator.integers(0, values, (height // 5 + 1, width // 5 + 1)).astype(np.uint8)
        return np.kron(coarse, np.ones((5, 5), np.uint8))[:height, :width]

    label, prediction = blocks(4), blocks(6)  # ids 4 and 5 are no class
    prediction[generator.random(size) < 0.7] = label[generator.random(size) < 0.7].flat[0]
    label[generator.random(size) < 0.03] = 255
    band = boundary_width(height, width)
    assert boundary_counts(prediction, label, 4).tolist() == oracle(prediction, label, 4, band)


@pytest.mark.parametrize(("height", "width", "expected"), [(1024, 2048, 46), (360, 480, 12), (4, 4, 1)])
def test_the_width_is_two_percent_of_the_diagonal(height: int, width: int, expected: int) -> None:
    assert boundary_width(height, width) == expected


def test_a_right_prediction_scores_one_beside_ignored_pixels() -> None:
    label = np.zeros((50, 50), np.uint8)
    label[:, 20:], label[30:] = 1, 255
    prediction = np.zeros((50, 50), np.uint8)
    prediction[:, 20:] = 1
    hits, truth, predicted = boundary_counts(prediction, label, 2)
    assert hits.tolist() == truth.tolist() == predicted.tolist() and hits.min() > 0


def test_a_shifted_outline_costs_more_than_area_says() -> None:
    label = np.zeros((200, 200), np.uint8)
    label[50:150, 50:150] = 1
    hits, truth, predicted = boundary_counts(np.roll(label, 3, axis=1), label, 2)
    iou = 97 / 103
    assert hits[1] / (truth[1] + predicted[1] - hits[1]) < iou - 0.2


def test_sizes_must_agree() -> None:
    with pytest.raises(InputError, match="differ in size"):
        boundary_counts(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)
