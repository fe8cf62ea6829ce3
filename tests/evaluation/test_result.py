"""Scores of a result: subsets, stars, images, and what the JSON says."""

import json
from dataclasses import replace

import numpy as np
import pytest

from segshift.data.labels import class_set
from segshift.errors import InputError
from segshift.evaluation import (
    BoundaryIou,
    EvaluationResult,
    Inference,
    Iou,
    confusion_matrix,
    evaluate,
    labelled_items,
    miou,
    protocol_lines,
    scored_classes,
    starred_classes,
)

from ..models.networks import tiny
from .test_evaluate import dataset

NINETEEN = class_set("cityscapes19").names


def random_result(classes: tuple[str, ...], seed: int = 0, extra: int = 0) -> EvaluationResult:
    generator = np.random.default_rng(seed)
    shape = (len(classes), len(classes) + extra)
    return EvaluationResult(generator.integers(0, 100, shape), classes)


def test_sixteen_of_nineteen_and_thirteen_of_sixteen() -> None:
    result = random_result(NINETEEN).scored(scored_classes("cityscapes16", NINETEEN))
    confusion = result.confusion.astype(float)
    by_name = {}
    for index, name in enumerate(NINETEEN):
        wrong = confusion[index].sum() + confusion[:, index].sum() - 2 * confusion[index, index]
        by_name[name] = confusion[index, index] / (wrong + confusion[index, index])
    sixteen = [name for name in NINETEEN if name not in ("terrain", "truck", "train")]
    thirteen = [name for name in sixteen if name not in ("wall", "fence", "pole")]
    assert list(result.scored_names) == sixteen and result.starred == ("wall", "fence", "pole")
    assert result.miou == pytest.approx(np.mean([by_name[name] for name in sixteen]))
    assert result.miou_star == pytest.approx(np.mean([by_name[name] for name in thirteen]))
    rows = [NINETEEN.index(name) for name in sixteen]
    right = confusion[rows, rows]
    truth = confusion[rows].sum(1)
    assert result.pixel_accuracy == pytest.approx(right.sum() / truth.sum())
    assert result.mean_accuracy == pytest.approx((right / truth).mean())
    weighted = sum(share * by_name[name] for share, name in zip(truth / truth.sum(), sixteen, strict=True))
    assert result.frequency_weighted_iou == pytest.approx(weighted)
    data = result.to_dict()
    assert list(data["iou"]) == sixteen and data["starred"] == ["wall", "fence", "pole"]
    assert data["miou_star"] == result.miou_star and data["pixels"] == truth.sum()


def test_scores_without_a_subset() -> None:
    result = random_result(NINETEEN)
    assert result.starred == () and result.miou_star is None and "miou_star" not in result.to_dict()
    everything = result.scored(NINETEEN[::-1])
    assert everything.scored_names == NINETEEN
    for name in ("miou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou"):
        assert getattr(everything, name) == pytest.approx(getattr(result, name))
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_result_prints_as_its_scores() -> None:
    result = EvaluationResult(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]), ("road", "sidewalk", "sky"))
    assert str(result).splitlines() == [
        "road      75.0 %",
        "sidewalk  80.0 %",
        "sky          -",
        "mIoU      77.5 %",
    ]


def test_which_classes_carry_a_star() -> None:
    sixteen = class_set("cityscapes16").names
    assert starred_classes(sixteen) == starred_classes(sixteen[::-1]) == ("wall", "fence", "pole")
    assert starred_classes(NINETEEN) == starred_classes(class_set("camvid11").names) == ()


def test_naming_a_subset() -> None:
    assert scored_classes("sky, road", NINETEEN) == ("road", "sky")
    assert scored_classes("sky", NINETEEN) == ("sky",)
    assert len(scored_classes("cityscapes13", NINETEEN)) == 13
    with pytest.raises(InputError, match="without tree; name a subset"):
        scored_classes("road,tree", NINETEEN)
    with pytest.raises(InputError, match="'tree' is no class set"):
        scored_classes("tree", NINETEEN)
    with pytest.raises(InputError, match="one or more"):
        random_result(NINETEEN).scored([])


def test_predictions_of_no_class_are_misses() -> None:
    result = EvaluationResult(np.array([[6, 2, 4], [1, 3, 0]], np.int64), ("road", "car"))
    np.testing.assert_allclose(result.iou, [6 / 13, 3 / 6])
    assert result.pixel_accuracy == pytest.approx(9 / 16)
    assert result.mean_accuracy == pytest.approx((6 / 12 + 3 / 4) / 2)
    assert result.no_class_share == pytest.approx(4 / 16)
    assert result.to_dict()["no_class_share"] == pytest.approx(4 / 16)


def test_every_image_by_itself() -> None:
    items, network = dataset([(32, 48)] * 5 + [(40, 40)]), tiny()
    items.items[3].label[:] = 255  # type: ignore[index]
    result = evaluate(network, items, measures=[Iou(), BoundaryIou()], batch_size=3)
    expected = []
    for item in items.items:
        assert item.label is not None
        expected.append(miou(confusion_matrix(network.predict(item.image), item.label.numpy(), 4)))
    found = list(result.image_mious().values())
    np.testing.assert_allclose(found, expected, atol=0.005)
    assert np.isnan(found[3])
    assert result.per_image is not None and result.boundary is not None
    np.testing.assert_allclose(result.per_image.total_iou, result.iou)
    known = [score for score in found if not np.isnan(score)]
    summary = result.to_dict()["per_image"]
    assert summary["images"] == 5 and summary["minimum"] == min(known) and summary["maximum"] == max(known)
    assert summary["median"] == pytest.approx(np.median(known))
    assert summary["worst"][0]["image"] == str(int(np.nanargmin(found)))
    assert 0 < result.to_dict()["boundary_miou"] < 1
    json.dumps(result.to_dict(), allow_nan=False)


def test_the_protocol_says_how_it_was_done() -> None:
    items = dataset([(32, 48)] * 2)
    plain = evaluate(tiny(input_size=(40, 24)), items).to_dict()["protocol"]
    assert plain["mode"] == "whole" and plain["input_size"] == [40, 24] and plain["images"] == 2
    assert plain["window"] is None and plain["networks"] == 1 and not plain["mean_of_probabilities_over"]
    assert "align_corners=True" in plain["up_sampling"] and plain["ignore"] == 255
    assert plain["classes"] == plain["scored_classes"] == ["road", "car", "sky", "person"]
    assert {"segshift", "torch", "numpy", "python"} <= set(plain["versions"])
    several = evaluate(
        [tiny(), tiny(1, input_size=(24, 24))],
        items,
        Inference(window=(30, 24), scales=(0.5, 1), flip=True),
    ).scored(["car", "sky"])
    protocol = several.to_dict()["protocol"]
    assert protocol["input_size"] == [None, [24, 24]] and protocol["stride"] == [20, 16]
    assert len(protocol["mean_of_probabilities_over"]) == 4 and protocol["scored_classes"] == ["car", "sky"]
    assert "protocol" not in replace(several, protocol=None).to_dict()


def test_the_protocol_names_the_classes_that_no_mean_counts() -> None:
    """sky is in the truth alone, person in the predictions alone, train in neither."""
    names = ("road", "sky", "train", "person")
    confusion = np.array([[3, 0, 0, 1], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    protocol = {"mode": "predictions", "prediction_ids": "train_ids", "images": 2, "ignore": 255}
    result = EvaluationResult(confusion, names, protocol=protocol)
    data = result.to_dict()
    assert data["miou"] == pytest.approx((3 / 6 + 0 + 0) / 3)
    assert data["protocol"]["classes_without_iou"] == ["train"]
    counted = "mean over 3 of 4 classes (in no label and no prediction: train), 2 images, label 255 ignored"
    assert protocol_lines(data["protocol"])[1] == counted
    scored = result.scored(["road", "person"]).to_dict()["protocol"]
    assert scored["classes_without_iou"] == []
    assert protocol_lines(scored)[1] == "mean over 2 of 4 classes, 2 images, label 255 ignored"


def test_data_without_some_of_the_networks_classes() -> None:
    """Truth of the common classes stays, and what is predicted as another class is a miss."""
    from segshift.data.labels import ClassSet
    from segshift.data.resolve import resolve

    split = resolve("city:game,size=64x48,count=1,val=2:val")
    network = tiny(classes=ClassSet("two", ("unicorn", *NINETEEN[:12]), ((0, 0, 0),) * 13))
    with pytest.raises(InputError, match="nothing for unicorn"):
        labelled_items(split, network.classes)
    with pytest.raises(InputError, match="nothing for unicorn"):
        labelled_items(split, network.classes, ["unicorn", "road"])
    items = labelled_items(split, network.classes, ["road", "sky"])
    plain = labelled_items(split, class_set("cityscapes19"))
    assert len(items) == len(plain) == 2
    for index in range(2):
        label, truth = items[index].label, plain[index].label
        assert label is not None and truth is not None
        expected = np.where(truth.numpy() < 12, truth.numpy() + 1, 255)
        np.testing.assert_array_equal(label.numpy(), expected)
    result = evaluate(network, items).scored(["road", "sky"])
    assert result.confusion[0].sum() == 0 and len(result.to_dict()["iou"]) == 2


def test_ensembles_need_equal_classes() -> None:
    items = dataset([(32, 48)])
    other = tiny(classes=class_set("camvid11"))
    with pytest.raises(InputError, match="an ensemble needs networks with the same classes"):
        evaluate([tiny(), other], items)
    with pytest.raises(InputError, match="one or more networks"):
        evaluate([], items)
