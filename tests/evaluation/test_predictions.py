"""Folders of prediction PNGs against cityscapesScripts, and the ways in which they can be wrong."""

import math
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as scripts  # noqa: N813
from cityscapesscripts.helpers.labels import labels as city_labels
from numpy.typing import NDArray
from PIL import Image

from segshift.data.resolve import resolve
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.evaluation import evaluate_predictions

EVALUATED = [label.id for label in city_labels if not label.ignoreInEval and label.id >= 0]
IGNORED = [label.id for label in city_labels if label.ignoreInEval and label.id >= 0]
TRAIN_ID = {label.id: label.trainId for label in city_labels if label.id >= 0}
STEMS = [
    "frankfurt/frankfurt_000000_000294",
    "frankfurt/frankfurt_000001_000019",
    "munster/munster_000002_000019",
]


def save(path: Path, ids: NDArray[np.integer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids.astype(np.uint8)).save(path)


def truth_and_answer(seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Label ids with ignored regions; two classes never occur, one only here and one only there."""
    generator = np.random.default_rng(seed)
    absent = {EVALUATED[16], EVALUATED[14]}
    kinds = np.array([one for one in EVALUATED if one not in absent | {EVALUATED[9]}] + IGNORED)
    truth = np.kron(generator.choice(kinds, (6, 10)), np.ones((8, 8), np.int64))
    answer = truth.copy()
    wrong = generator.random(truth.shape) < 0.4
    allowed = np.array([one for one in EVALUATED if one not in absent | {EVALUATED[4]}])
    answer[wrong | np.isin(answer, [*IGNORED, EVALUATED[4]])] = 0
    replaced = answer == 0
    answer[replaced] = generator.choice(allowed, int(replaced.sum()))
    # A network of another label space: pixels that it calls an ignored class are misses.
    answer[generator.random(truth.shape) < 0.05] = 10
    return truth, answer


@pytest.fixture(scope="module")
def cityscapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature in Cityscapes' layout with predictions in label ids under `results`."""
    root = tmp_path_factory.mktemp("cityscapes")
    for seed, stem in enumerate(STEMS):
        truth, answer = truth_and_answer(seed)
        save(root / "gtFine" / "val" / f"{stem}_gtFine_labelIds.png", truth)
        image = np.zeros((*truth.shape, 3), np.uint8)
        (root / "leftImg8bit" / "val" / stem).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / "leftImg8bit" / "val" / f"{stem}_leftImg8bit.png")
        save(root / "results" / f"{Path(stem).name}_pred.png", answer)
    return root


@pytest.fixture(scope="module")
def split(cityscapes: Path) -> Split:
    return resolve(f"cityscapes:{cityscapes}:val")


def oracle(root: Path) -> dict[str, float]:
    """IoU per class by the public evaluation; NaN for ignored and absent classes."""
    scripts.args.evalInstLevelScore = False
    scripts.args.quiet = True
    confusion = scripts.generateMatrix(scripts.args)
    for stem in STEMS:
        scripts.evaluatePair(
            str(root / "results" / f"{Path(stem).name}_pred.png"),
            str(root / "gtFine" / "val" / f"{stem}_gtFine_labelIds.png"),
            confusion,
            {},
            {},
            scripts.args,
        )
    return {
        label.name: scripts.getIouScoreForLabel(label.id, confusion, scripts.args)
        for label in city_labels
        if label.id in EVALUATED
    }


@pytest.mark.parametrize("ids", ["label_ids", None])
def test_label_ids_agree_with_cityscapes_scripts(cityscapes: Path, split: Split, ids: str | None) -> None:
    expected = oracle(cityscapes)
    result = evaluate_predictions(cityscapes / "results", split, ids=ids)
    assert list(result.class_names) == list(expected)
    np.testing.assert_allclose(result.iou, list(expected.values()), atol=1e-9, rtol=0)
    assert sum(map(math.isnan, expected.values())) == 2 and list(expected.values()).count(0.0) == 2
    assert result.miou == pytest.approx(scripts.getScoreAverage(expected, scripts.args), abs=1e-9)
    assert 0.02 < result.no_class_share < 0.08
    assert result.protocol is not None and result.protocol["prediction_ids"] == "label_ids"


@pytest.mark.parametrize("ids", ["train_ids", "cityscapes19"])
def test_train_ids_give_the_same(cityscapes: Path, split: Split, tmp_path: Path, ids: str | None) -> None:
    for index, stem in enumerate(STEMS):
        answer = np.vectorize(lambda one: TRAIN_ID[one])(truth_and_answer(index)[1])
        save(tmp_path / "deep" / f"{stem}_leftImg8bit_labelTrainIds.png", answer)
    by_label_ids = evaluate_predictions(cityscapes / "results", split)
    result = evaluate_predictions(tmp_path, split, ids=ids)
    np.testing.assert_array_equal(result.confusion, by_label_ids.confusion)
    assert result.image_mious() == by_label_ids.image_mious()
    assert list(result.image_mious()) == STEMS
    # Most train ids of Cityscapes are label ids, too.
    with pytest.raises(InputError, match="may be label ids or train ids"):
        evaluate_predictions(tmp_path, split)


def test_train_ids_of_a_smaller_class_set(split: Split, tmp_path: Path) -> None:
    for index, stem in enumerate(STEMS):
        truth, _ = truth_and_answer(index)
        train = np.vectorize(lambda one: TRAIN_ID[one])(truth)
        sixteen = [name for name in range(19) if name not in (9, 14, 16)]
        answer = np.vectorize(lambda one, order=sixteen: order.index(one) if one in order else 0)(train)
        save(tmp_path / f"{Path(stem).name}.png", answer)
    result = evaluate_predictions(tmp_path, split, ids="cityscapes16")
    assert len(result.class_names) == 16 and result.starred == ("wall", "fence", "pole")
    # Right wherever the truth is one of the sixteen, and terrain, truck and train count nowhere.
    assert result.miou == 1 and result.pixel_accuracy == 1


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """`data.yaml` of three images whose label ids 7, 8 are the classes 0, 1."""
    for name in ("a", "a_1", "b"):
        save(tmp_path / "images" / f"{name}.png", np.zeros((4, 6)))
        save(tmp_path / "labels" / f"{name}.png", np.tile([7, 8, 0], (4, 2)))
    (tmp_path / "data.yaml").write_text(
        "name: three\nsplits: {val: {images: 'images/*.png', labels: 'labels/{stem}.png'}}\n"
        "classes: [road, sky]\nlabels: {kind: ids, map: {7: road, 8: sky}}\n"
    )
    return tmp_path


def evaluate_three(folder: Path, ids: str | None = None) -> float:
    return evaluate_predictions(folder / "p", resolve(f"{folder}/data.yaml:val"), ids=ids).miou


RIGHT = np.tile([0, 1, 0], (4, 2))


@pytest.mark.parametrize("name", ["{}", "{}_label", "{}-out.seg", "run/x/{}_pred"])
def test_names_may_have_one_suffix_and_any_folder(three: Path, name: str) -> None:
    for stem in ("a", "a_1", "b"):
        save(three / "p" / f"{name.format(stem)}.png", RIGHT)
    assert evaluate_three(three) == 1


def test_renderings_and_other_files_are_passed_over(three: Path) -> None:
    for stem in ("a", "a_1", "b"):
        save(three / "p" / f"{stem}_label.png", RIGHT)
        save(three / "p" / f"{stem}_overlay.png", np.full((4, 6), 77))
        save(three / "p" / f"{stem}_color.png", np.full((4, 6), 78))
    save(three / "p" / "legend.png", np.zeros((9, 9)))
    (three / "p" / "log.txt").write_text("done")
    assert evaluate_three(three) == 1


def test_equal_names_in_two_folders_are_told_apart_by_the_folder(tmp_path: Path) -> None:
    for city, train_id in (("rome", 0), ("rio", 1)):
        save(tmp_path / "images" / city / "0.png", np.zeros((2, 2)))
        save(tmp_path / "labels" / city / "0.png", np.full((2, 2), train_id))
        save(tmp_path / "p" / "sets" / city / "0_pred.png", np.full((2, 2), train_id))
    (tmp_path / "data.yaml").write_text(
        "name: two\nsplits: {val: {images: 'images/*/*.png', labels: 'labels/{parent}/{stem}.png'}}\n"
        "classes: [road, sky]\n"
    )
    assert evaluate_three(tmp_path) == 1
    save(tmp_path / "p" / "again" / "rio" / "0_pred.png", np.zeros((2, 2)))
    with pytest.raises(
        InputError, match=r"again/rio/0_pred.png and .*rio/0_pred.png are predictions for the"
    ):
        evaluate_three(tmp_path)


@pytest.mark.parametrize(
    ("files", "ids", "message"),
    [
        ({}, None, "no such folder"),
        ({"x": RIGHT}, None, "no PNG is named after an image of the split .the first is a.;"),
        ({"a": RIGHT, "b": RIGHT}, None, "1 of 3 images has no prediction .*: a_1; complete the folder"),
        ({"b_label": RIGHT}, None, r"2 of 3 images .*\(PNG named as the image \+ _label\): a, a_1; complete"),
        ({"a": RIGHT, "a_1": RIGHT, "b": RIGHT, "c": RIGHT}, None, "1 file fits no image .*: c.png"),
        ({"a_x": RIGHT, "a_1_x": RIGHT, "b_y": RIGHT}, None, "1 of 3 images .*: b; 1 file .*: b_y.png"),
        (
            {"a": RIGHT, "a_1": RIGHT, "b": np.zeros((6, 4))},
            None,
            "b.png: the prediction is 4 x 6 pixels, its",
        ),
        ({"a": RIGHT, "a_1": RIGHT, "b": RIGHT + 7}, "train_ids", "b.png: holds the id 7, .* 0 to 1 .255"),
        ({"a": RIGHT, "a_1": RIGHT, "b": RIGHT + 90}, None, "the id 90, which is neither a train id"),
        (
            {"a": RIGHT, "a_1": RIGHT, "b": RIGHT},
            "labels",
            "--prediction-ids labels: use label_ids, train_ids",
        ),
    ],
)
def test_one_line_about_what_is_wrong(
    three: Path, files: dict[str, NDArray[np.integer]], ids: str | None, message: str
) -> None:
    for name, array in files.items():
        save(three / "p" / f"{name}.png", array)
    with pytest.raises(InputError, match=message):
        evaluate_three(three, ids)


@pytest.mark.parametrize("ids", ["label_ids", "train_ids", None])
@pytest.mark.parametrize("bands", [3, 4])
def test_color_images_are_no_ids(three: Path, ids: str | None, bands: int) -> None:
    for stem in ("a", "a_1"):
        save(three / "p" / f"{stem}.png", RIGHT)
    save(three / "p" / "b.png", np.stack([RIGHT] * bands, axis=-1))
    mode = {3: "RGB", 4: "RGBA"}[bands]
    with pytest.raises(
        InputError, match=rf"p/b\.png: is a color image \({mode}\), not ids; give the"
    ) as error:
        evaluate_three(three, ids)
    # What the data set's own YAML should say about its labels is no advice about predictions.
    assert "labels.kind" not in str(error.value) and "--prediction-ids" not in str(error.value)


def test_colors_of_a_data_set_with_colored_labels(three: Path) -> None:
    rule = "labels: {kind: rgb, map: {'7,7,7': road, '8,8,8': sky}, ignore: ['0,0,0']}"
    text = (three / "data.yaml").read_text()
    (three / "data.yaml").write_text(text[: text.index("labels: {kind")] + rule)
    colors = np.stack([np.tile([7, 8, 0], (4, 2))] * 3, axis=-1)
    for stem in ("a", "a_1", "b"):
        save(three / "labels" / f"{stem}.png", colors)
        save(three / "p" / f"{stem}.png", np.where(colors == 0, 7, colors))
    assert evaluate_three(three) == evaluate_three(three, "label_ids") == 1
    with pytest.raises(
        InputError, match=r"a\.png: is a color image .* say --prediction-ids label_ids if its"
    ):
        evaluate_three(three, "train_ids")


def test_several_kinds_of_files_per_image(three: Path) -> None:
    for stem in ("a", "a_1", "b"):
        save(three / "p" / f"{stem}_x.png", RIGHT)
        save(three / "p" / f"{stem}_y.png", RIGHT)
    with pytest.raises(InputError, match=r"several PNGs per image \(\*_x.png, \*_y.png\)"):
        evaluate_three(three)


def test_ids_that_may_be_both_kinds_are_asked_for(tmp_path: Path) -> None:
    # Label ids 1 and 2 are the train ids 0 and 1; a prediction of nothing but 1 may be either.
    (tmp_path / "data.yaml").write_text(
        "name: shifted\nsplits: {val: {images: 'images/*.png', labels: 'labels/{stem}.png'}}\n"
        "classes: [road, sky]\nlabels: {kind: ids, map: {1: road, 2: sky}}\n"
    )
    save(tmp_path / "images" / "a.png", np.zeros((2, 2)))
    save(tmp_path / "labels" / "a.png", np.array([[1, 1], [1, 2]]))
    save(tmp_path / "p" / "a.png", np.ones((2, 2)))
    with pytest.raises(InputError, match=r"the predicted ids \(1\) may be label ids or train ids"):
        evaluate_three(tmp_path)
    assert evaluate_three(tmp_path, "label_ids") == pytest.approx((3 / 4 + 0) / 2)
    assert evaluate_three(tmp_path, "train_ids") == pytest.approx((0 + 1 / 4) / 2)


def test_no_class_is_a_miss_and_no_false_positive(three: Path) -> None:
    for stem in ("a", "a_1", "b"):
        save(three / "p" / f"{stem}.png", np.tile([0, 255, 1], (4, 2)))
    result = evaluate_predictions(three / "p", resolve(f"{three}/data.yaml:val"))
    np.testing.assert_array_equal(result.confusion, [[24, 0, 0], [0, 0, 24]])
    np.testing.assert_array_equal(result.iou, [1, 0])
    assert result.pixel_accuracy == 0.5 and result.to_dict()["no_class_share"] == 0.5


def test_values_that_are_neither_label_nor_train_ids_are_refused(tmp_path: Path) -> None:
    label = np.tile(np.array([[7, 1, 0, 90]], np.uint8), (4, 1))
    save(tmp_path / "images/a.png", np.zeros((4, 4)))
    save(tmp_path / "labels/a.png", label)
    (tmp_path / "data.yaml").write_text(
        "name: own\nsplits: {val: {images: 'images/*.png', labels: 'labels/{stem}.png'}}\n"
        "classes: [road, sky]\nlabels: {kind: ids, map: {7: road, 1: sky}}\n"
    )
    split = resolve(f"{tmp_path}/data.yaml:val")
    # 90 is no class, and stands in the labels nevertheless; 99 stands nowhere.
    save(tmp_path / "p/a.png", label)
    assert evaluate_predictions(tmp_path / "p", split).miou == 1
    save(tmp_path / "p/a.png", np.where(label == 90, 99, label))
    with pytest.raises(InputError, match="the id 7, which is neither a train id"):
        evaluate_predictions(tmp_path / "p", split)
