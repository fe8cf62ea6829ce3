"""Counting pairs of ids by runs equals counting pixels, for smooth maps, noise and maps of any size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segshift.errors import InputError
from segshift.evaluation import confusion_matrix
from segshift.evaluation.measures import Iou, judge
from segshift.evaluation.pair_counts import pair_counts


def by_pixel(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    counts = np.zeros((256, 256), np.int64)
    np.add.at(counts, (rows.ravel(), columns.ravel()), 1)
    return counts


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    height=st.integers(0, 9),
    width=st.integers(0, 40),
    run=st.sampled_from([1, 2, 7, 8, 9, 30, 1000]),
)
def test_runs_are_counted_as_their_pixels(seed: int, height: int, width: int, run: int) -> None:
    random = np.random.default_rng(seed)
    pixels = height * width
    rows, columns = (
        np.repeat(random.integers(0, 256, pixels // run + 1, dtype=np.uint8), run)[shift : shift + pixels]
        for shift in (0, random.integers(0, run))
    )
    columns = np.resize(columns, pixels) if len(columns) else columns
    first, second = (torch.from_numpy(ids.copy()).view(height, width) for ids in (rows, columns))
    np.testing.assert_array_equal(pair_counts(first, second).numpy(), by_pixel(rows, columns))


def test_maps_that_are_not_contiguous_are_counted_in_their_order() -> None:
    random = np.random.default_rng(0)
    rows, columns = (torch.from_numpy(random.integers(0, 3, (40, 30), dtype=np.uint8)) for _ in range(2))
    expected = by_pixel(rows.T.numpy(), columns.numpy()[:, ::-1].T)
    assert torch.equal(pair_counts(rows.T, columns.flip(1).T), torch.from_numpy(expected))


@pytest.mark.parametrize(("prediction", "label"), [(0, 7), (7, 0), (255, 0)])
def test_bytes_outside_the_classes_are_refused_as_other_integers_are(prediction: int, label: int) -> None:
    ids = torch.tensor([0, prediction], dtype=torch.uint8), torch.tensor([0, label], dtype=torch.uint8)
    with pytest.raises(InputError) as narrow:
        confusion_matrix(*ids, classes=3)
    with pytest.raises(InputError) as wide:
        confusion_matrix(ids[0].long(), ids[1].long(), classes=3)
    assert str(narrow.value) == str(wide.value)


def test_what_is_read_late_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator, where the host reads the counts of many images together."""
    monkeypatch.setattr("segshift.evaluation.measures._READ_AT_ONCE", 3)
    ids = torch.tensor([[0, 1, 255]], dtype=torch.uint8)
    tally = Iou().tally(2)
    for number in range(5):
        tally.waiting.append((str(number), pair_counts(ids, ids)))  # type: ignore[attr-defined]
    whole = tally.result()
    at_once = judge([(str(number), ids, ids) for number in range(5)], ["a", "b"], complete=False)
    np.testing.assert_array_equal(whole["confusion"], at_once.confusion)
    assert whole["per_image"].images == at_once.per_image.images  # type: ignore[union-attr]
