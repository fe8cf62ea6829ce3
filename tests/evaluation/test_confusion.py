"""Confusion matrix and IoU against loops, torchmetrics and the public codes' values."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torchmetrics.classification import MulticlassJaccardIndex

from segshift.errors import InputError
from segshift.evaluation import confusion_matrix, iou, miou, pixel_accuracy


def loop(prediction: np.ndarray, label: np.ndarray, classes: int, ignore: int) -> np.ndarray:
    result = np.zeros((classes, classes), np.int64)
    for predicted, truth in zip(prediction.flat, label.flat, strict=True):
        if truth != ignore:
            result[truth, predicted] += 1
    return result


@settings(max_examples=60, deadline=None)
@given(data=st.data(), classes=st.integers(1, 6), dtype=st.sampled_from([np.uint8, np.int64, np.int32]))
def test_confusion_equals_a_loop(data: st.DataObject, classes: int, dtype: type) -> None:
    shape = data.draw(arrays.array_shapes(min_dims=1, max_dims=3, max_side=6))
    ids = st.integers(0, classes - 1)
    prediction = data.draw(arrays.arrays(dtype, shape, elements=ids))
    label = data.draw(arrays.arrays(dtype, shape, elements=ids | st.just(255 if dtype == np.uint8 else 200)))
    ignore = 255 if dtype == np.uint8 else 200
    expected = loop(prediction, label, classes, ignore)
    by_numpy = confusion_matrix(prediction, label, classes, ignore)
    by_torch = confusion_matrix(torch.from_numpy(prediction), torch.from_numpy(label), classes, ignore)
    assert isinstance(by_numpy, np.ndarray) and by_numpy.dtype == np.int64
    assert by_torch.dtype == torch.int64
    np.testing.assert_array_equal(by_numpy, expected)
    np.testing.assert_array_equal(by_torch.numpy(), expected)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    classes=st.integers(2, 12),
    present=st.integers(1, 12),
    ignored=st.sampled_from([0.0, 0.2, 0.7]),
)
def test_iou_equals_torchmetrics(seed: int, classes: int, present: int, ignored: float) -> None:
    random = np.random.default_rng(seed)
    # Few classes occur, so that some are absent from truth, from prediction or from both.
    label = torch.from_numpy(random.integers(0, min(present, classes), (2, 7, 9)))
    label[torch.from_numpy(random.random(label.shape) < ignored)] = 255
    prediction = torch.from_numpy(random.integers(0, classes, (2, 7, 9)) // random.integers(1, 4))
    label[0, 0, 0] = 0
    confusion = confusion_matrix(prediction, label, classes)
    scores = iou(confusion)
    oracle = MulticlassJaccardIndex(classes, average="none", ignore_index=255)
    expected = oracle(prediction, label).double().numpy()
    counts = confusion.numpy()
    absent = (counts.sum(0) + counts.sum(1)) == 0
    np.testing.assert_array_equal(np.isnan(scores), absent)
    np.testing.assert_allclose(scores[~absent], expected[~absent], atol=1e-6)
    mean = MulticlassJaccardIndex(classes, average="macro", ignore_index=255)(prediction, label)
    assert miou(confusion) == pytest.approx(float(mean), abs=1e-6)


def test_values_of_the_public_codes(goldens_root: Path) -> None:
    arrays_ = np.load(goldens_root / "golden.npz")
    golden = json.loads((goldens_root / "golden.json").read_text())
    confusion = arrays_["confusion"].astype(np.int64)
    np.testing.assert_allclose(iou(confusion), arrays_["miou_per_class"], atol=1e-12)
    assert miou(confusion) == pytest.approx(golden["miou_mean"], abs=1e-12)
    matrix = confusion_matrix(arrays_["pred"], arrays_["gt_mapped"], 19)
    np.testing.assert_array_equal(matrix, arrays_["fast_hist"])
    assert miou(matrix) == pytest.approx(golden["fast_hist_miou"], abs=1e-12)

    absent = confusion.copy()
    absent[16, :] = absent[:, 16] = 0
    assert np.isnan(iou(absent)[16])
    assert miou(absent) == pytest.approx(golden["miou_class16_absent_nanmean"], abs=1e-12)
    only_predicted = confusion.copy()
    only_predicted[16, :] = 0
    assert iou(only_predicted)[16] == 0
    assert miou(only_predicted) == pytest.approx(golden["miou_class16_not_in_gt_but_predicted"], abs=1e-12)


def test_predictions_on_ignored_pixels_do_not_count() -> None:
    label = np.array([[0, 255], [1, 255]], np.uint8)
    # Not even an id that does not exist.
    prediction = np.array([[0, 1], [1, 77]], np.uint8)
    np.testing.assert_array_equal(confusion_matrix(prediction, label, 2), [[1, 0], [0, 1]])


def test_counts_beyond_32_bits_stay_exact() -> None:
    confusion = np.array([[2**40 + 1, 1], [0, 2**40]], np.int64)
    assert iou(confusion)[0] == pytest.approx((2**40 + 1) / (2**40 + 2), abs=1e-15)
    assert pixel_accuracy(confusion) == pytest.approx(1.0, abs=1e-11)


def test_without_pixels_there_is_no_score() -> None:
    empty = confusion_matrix(np.zeros((3, 3), np.uint8), np.full((3, 3), 255, np.uint8), 4)
    assert empty.sum() == 0 and empty.shape == (4, 4)
    assert np.isnan(iou(empty)).all()
    assert np.isnan(miou(empty)) and np.isnan(pixel_accuracy(empty))


def test_a_tensor_and_an_array_together_give_an_array() -> None:
    label = torch.tensor([[0, 1]])
    result = confusion_matrix(np.array([[0, 0]]), label, 2)  # type: ignore[call-overload]
    np.testing.assert_array_equal(result, [[1, 0], [1, 0]])


def test_flipped_views_and_unusual_integers() -> None:
    label = np.arange(6, dtype=np.uint16).reshape(2, 3)[:, ::-1]
    np.testing.assert_array_equal(confusion_matrix(label, label, 6), np.eye(6))


@pytest.mark.parametrize(
    ("prediction", "label", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), r"\(2, 3\) and label \(3, 2\) differ"),
        (np.full((2, 2), 5), np.zeros((2, 2), int), "prediction holds the id 5, but .* 0 to 2"),
        (np.full((2, 2), -1), np.zeros((2, 2), int), "prediction holds the id -1"),
        (np.zeros((2, 2), int), np.full((2, 2), 3), "label holds the id 3"),
        (np.zeros((2, 2), int), np.full((2, 2), -1), "label holds the id -1"),
        (np.zeros((2, 2)), np.zeros((2, 2), int), "prediction holds float64"),
        (np.zeros((2, 2), int), np.zeros((2, 2), bool), "label holds bool"),
    ],
)
def test_bad_ids(prediction: np.ndarray, label: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        confusion_matrix(prediction, label, 3)
