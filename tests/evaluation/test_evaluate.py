"""Evaluation of a data set against predictions one by one."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segshift.data.dataset import SegmentationDataset
from segshift.data.labels import ClassSet
from segshift.data.resolve import resolve
from segshift.errors import InputError
from segshift.evaluation import (
    BoundaryIou,
    EvaluationResult,
    Inference,
    Iou,
    confusion_matrix,
    evaluate,
)

from ..models.networks import CLASSES, tiny


@dataclass(frozen=True)
class Item:
    image: Tensor
    label: Tensor | None
    index: int


@dataclass(frozen=True)
class Items:
    items: tuple[Item, ...]
    classes: ClassSet = CLASSES

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: int, /) -> Item:
        return self.items[key]


def dataset(sizes: list[tuple[int, int]], seed: int = 0) -> Items:
    generator = torch.Generator().manual_seed(seed)
    items = []
    for index, (height, width) in enumerate(sizes):
        image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)
        label = torch.randint(0, 4, (height, width), dtype=torch.uint8, generator=generator)
        label[torch.rand((height, width), generator=generator) < 0.2] = 255
        items.append(Item(image, label, index))
    return Items(tuple(items))


def _label(item: Item) -> Tensor:
    assert item.label is not None
    return item.label


MIXED = [(32, 48)] * 3 + [(40, 40)] + [(32, 48)] * 2


@pytest.mark.parametrize("input_size", [None, (40, 24)])
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_evaluation_counts_what_predict_predicts(input_size: Any, batch_size: int) -> None:
    segmenter, items = tiny(input_size=input_size), dataset(MIXED)
    expected = np.zeros((4, 4), np.int64)
    for item in items.items:
        expected += confusion_matrix(segmenter.predict(item.image), _label(item).numpy(), 4)
    result = evaluate(segmenter, items, batch_size=batch_size)
    # A batch may round an arg max between two equal logits differently than a single image does.
    assert np.abs(result.confusion - expected).sum() <= 2
    assert result.confusion.sum() == sum(int(torch.ne(_label(item), 255).sum()) for item in items.items)
    assert result.class_names == CLASSES.names


def test_the_protocols_input_size_wins() -> None:
    items = dataset([(32, 48)] * 2)
    by_protocol = evaluate(tiny(input_size=(24, 24)), items, Inference(input_size=(40, 32)))
    by_config = evaluate(tiny(input_size=(40, 32)), items)
    np.testing.assert_array_equal(by_protocol.confusion, by_config.confusion)


def test_predictions_are_compared_at_the_labels_size() -> None:
    items = dataset([(32, 48)])
    label = _label(items[0])
    large = Items((replace(items[0], label=label.repeat_interleave(2, 0).repeat_interleave(2, 1)),))
    assert evaluate(tiny(), large).confusion.sum() == 4 * evaluate(tiny(), items).confusion.sum()


@pytest.mark.parametrize(
    "inference", [Inference(), Inference(window=(32, 32)), Inference(scales=(0.5, 1), flip=True)]
)
def test_mode_and_averages_of_the_segmenter_stay(inference: Inference) -> None:
    segmenter = tiny(batch_norm="batch").train()
    segmenter.head.eval()
    before = {key: value.clone() for key, value in segmenter.state_dict().items()}
    evaluate(segmenter, dataset([(32, 48)] * 2), inference)
    assert segmenter.training and not segmenter.head.training
    assert all(torch.equal(value, before[key]) for key, value in segmenter.state_dict().items())


def test_progress_counts_to_the_end() -> None:
    calls: list[tuple[int, int]] = []
    evaluate(tiny(), dataset(MIXED), batch_size=2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(2, 6), (3, 6), (4, 6), (6, 6)]


def test_bad_data_sets() -> None:
    with pytest.raises(InputError, match="no images"):
        evaluate(tiny(), Items(()))
    items = dataset([(32, 48)])
    with pytest.raises(InputError, match="image 0 has no label"):
        evaluate(tiny(), Items((replace(items[0], label=None),)))
    other = ClassSet("other", ("road", "car", "sky", "dog"), CLASSES.colors)
    with pytest.raises(InputError, match=r"road, car, sky, person; the data's are road, car, sky, dog"):
        evaluate(tiny(), replace(items, classes=other))
    with pytest.raises(InputError, match="label holds the id 9"):
        evaluate(tiny(), Items((replace(items[0], label=torch.full((32, 48), 9, dtype=torch.uint8)),)))


class _Share:
    """A measure of one's own: the share of right pixels of every image."""

    def __init__(self) -> None:
        self.shares: dict[str, float] = {}

    def tally(self, classes: int) -> "_Share":
        assert classes == 4
        return self

    def add(self, image: str, prediction: Tensor, label: Tensor) -> None:
        self.shares[image] = float((prediction == label)[label != 255].float().mean())

    def result(self) -> dict[str, Any]:
        return {"shares": self.shares}


def test_measures_compose() -> None:
    items = dataset([(32, 48)] * 2)
    both = evaluate(tiny(), items, measures=[Iou(), BoundaryIou(), _Share()])
    plain = evaluate(tiny(), items)
    np.testing.assert_array_equal(both.confusion, plain.confusion)
    assert plain.boundary is None and plain.further == {}
    data = both.to_dict()
    assert list(data["shares"]) == ["0", "1"]
    assert np.mean(list(data["shares"].values())) == pytest.approx(plain.pixel_accuracy, abs=0.01)
    outlines = evaluate(tiny(), items, measures=[BoundaryIou()])
    assert np.isnan(outlines.miou) and outlines.boundary_miou == both.boundary_miou
    wide = evaluate(tiny(), items, measures=[BoundaryIou(dilation_ratio=2.0)])
    # Where every pixel is near the boundary, boundary IoU is IoU.
    assert wide.boundary_miou == pytest.approx(plain.miou)


def test_classes_in_another_order_are_the_same_scores() -> None:
    result = evaluate(tiny(), dataset([(32, 48)] * 2), measures=[Iou(), BoundaryIou()])
    result = result.scored(["road", "sky"])
    names = ("sky", "person", "road", "car")
    turned = result.reordered(names)
    assert turned.class_names == names and turned.scored_names == ("sky", "road")
    assert turned.miou == pytest.approx(result.miou)
    assert dict(zip(names, turned.iou, strict=True)) == dict(zip(CLASSES.names, result.iou, strict=True))
    assert turned.to_dict()["boundary_iou"] == {
        name: result.to_dict()["boundary_iou"][name] for name in ("sky", "road")
    }
    assert turned.image_mious() == pytest.approx(result.image_mious())
    np.testing.assert_array_equal(turned.reordered(CLASSES.names).confusion, result.confusion)
    with pytest.raises(InputError, match="are not road, car"):
        result.reordered(("road", "car"))


def test_scores_of_a_result() -> None:
    confusion = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]], np.int64)
    result = EvaluationResult(confusion, ("road", "car", "sky"))
    np.testing.assert_allclose(result.iou, [6 / 9, 3 / 6, np.nan])
    assert result.miou == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert result.pixel_accuracy == pytest.approx(9 / 12)
    assert result.miou_over(["car", "sky"]) == pytest.approx(0.5)
    assert np.isnan(result.miou_over(["sky"]))
    with pytest.raises(InputError, match="class bus"):
        result.miou_over(["bus"])
    assert result.to_dict() == {
        "miou": pytest.approx((6 / 9 + 3 / 6) / 2),
        "pixel_accuracy": pytest.approx(0.75),
        "mean_accuracy": pytest.approx((6 / 8 + 3 / 4) / 2),
        "frequency_weighted_iou": pytest.approx((8 * 6 / 9 + 4 * 3 / 6) / 12),
        "iou": {"road": pytest.approx(6 / 9), "car": pytest.approx(0.5), "sky": None},
        "pixels": 12,
    }


def test_the_reference_score_over_thirteen_of_nineteen_classes(goldens_root: Any) -> None:
    confusion = np.load(goldens_root / "golden.npz")["confusion"].astype(np.int64)
    golden = json.loads((goldens_root / "golden.json").read_text())
    names = tuple(str(i) for i in range(19))
    result = EvaluationResult(confusion, names)
    # Without terrain (9), truck (14), train (16); without wall, fence and pole (3, 4, 5) besides.
    sixteen = [name for name in names if name not in {"9", "14", "16"}]
    assert result.miou_over(sixteen) == pytest.approx(golden["miou16_of_19"], abs=1e-12)
    thirteen = [name for name in sixteen if name not in {"3", "4", "5"}]
    assert result.miou_over(thirteen) == pytest.approx(golden["miou13_of_19"], abs=1e-12)


def test_real_images_through_the_data_layer(camvid_root: Path) -> None:
    split = resolve(f"camvid:{camvid_root}:val")
    split = replace(split, samples=split.samples[:3])
    segmenter = tiny(classes=split.classes, input_size=(120, 90))
    items = SegmentationDataset(split, split.classes, with_labels=True)
    result = evaluate(segmenter, items, batch_size=2)
    expected = np.zeros((11, 11), np.int64)
    for index, sample in enumerate(split.samples):
        label = items[index].label
        assert label is not None
        expected += confusion_matrix(segmenter.predict(sample.image), label.numpy(), 11)
    assert np.abs(result.confusion - expected).sum() <= 10
    assert 300_000 < result.confusion.sum() <= 3 * 480 * 360
