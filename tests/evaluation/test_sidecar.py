"""What prediction files mean: by a sidecar, by an option, by their values only where these leave no doubt."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segshift.data.labels import class_set
from segshift.data.resolve import resolve
from segshift.errors import InputError
from segshift.evaluation import evaluate_predictions, open_predictions
from segshift.evaluation.sidecar import SIDECAR, Sidecar, read_sidecar, train_id_sidecar

TRUTH = np.array([[7, 8, 11], [7, 17, 0]])
NAMES = ("sky", "wall", "ground", "box")


def save(path: Path, ids: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids.astype(np.uint16 if ids.max() > 255 else np.uint8)).save(path)


def dataset(folder: Path, labels: str, classes: str = "[ground, box, wall, sky]") -> str:
    save(folder / "img" / "a.png", np.zeros((2, 3)))
    save(folder / "lab" / "a.png", TRUTH)
    (folder / "data.yaml").write_text(
        "name: d\nsplits: {val: {images: 'img/*.png', labels: 'lab/{stem}.png'}}\n"
        f"classes: {classes}\nlabels: {labels}\n"
    )
    return f"{folder}/data.yaml:val"


MAP = "map: {7: sky, 8: wall, 11: ground, 17: box}"


@pytest.mark.parametrize(
    "labels",
    [
        "{kind: ids, map: cityscapes_ids}",
        f"{{kind: ids, {MAP}}}",
        f"{{kind: ids, {MAP}, ignore: [0], other: error}}",
    ],
)
def test_perfect_label_ids_score_100_or_are_asked_for(tmp_path: Path, labels: str) -> None:
    city = "cityscapes" in labels
    split = resolve(dataset(tmp_path, labels, "cityscapes19" if city else "[ground, box, wall, sky]"))
    save(tmp_path / "p" / "a.png", TRUTH)
    assert evaluate_predictions(tmp_path / "p", split, ids="label_ids").miou == 1
    if city:
        # 0, 7, 8, 11 and 17 are train ids, too.
        with pytest.raises(InputError, match=r"\(0, 7, 8, 11, 17\) may be label ids or train ids; say --pre"):
            open_predictions(tmp_path / "p", split)
    else:
        # 17 is no train id of four classes.
        found = open_predictions(tmp_path / "p", split)
        assert found.ids == "label_ids" and found.known_from == "values" and found.evaluate().miou == 1


def test_values_that_are_no_class_of_the_label_files_are_train_ids(tmp_path: Path) -> None:
    split = resolve(dataset(tmp_path, f"{{kind: ids, {MAP}}}"))
    save(tmp_path / "p" / "a.png", np.array([[3, 2, 0], [3, 1, 1]]))
    assert open_predictions(tmp_path / "p", split).ids == "train_ids"
    assert evaluate_predictions(tmp_path / "p", split).miou == 1


@pytest.mark.parametrize("ids", [None, "sky,wall,ground,box", "sky, wall, ground, box"])
def test_another_order_of_classes_is_mapped_by_name(tmp_path: Path, ids: str | None) -> None:
    split = resolve(dataset(tmp_path, f"{{kind: ids, {MAP}}}"))
    save(tmp_path / "p" / "a.png", np.array([[0, 1, 2], [0, 3, 3]]))
    if ids is None:
        train_id_sidecar("m", class_set(NAMES)).claim(tmp_path / "p")
    result = evaluate_predictions(tmp_path / "p", split, ids=ids)
    assert result.class_names == NAMES and result.miou == 1
    assert result.protocol is not None
    assert result.protocol["prediction_ids_known_from"] == ("option" if ids else "sidecar")
    # As the data set's own train ids they are wrong.
    assert evaluate_predictions(tmp_path / "p", split, ids="train_ids").miou < 0.5


def test_label_ids_by_the_sidecar(tmp_path: Path) -> None:
    """Ids of the data set, or of any other; also above 255."""
    split = resolve(dataset(tmp_path, f"{{kind: ids, {MAP}}}"))
    for values in ((7, 8, 11, 17), (300, 2, 65535, 255)):
        folder = tmp_path / f"p{values[0]}"
        sidecar = Sidecar(
            ids="label_ids", classes=dict(zip(NAMES, values, strict=True)), no_class=0 if 255 in values else 1
        )
        sidecar.claim(folder)
        answer = np.zeros(TRUTH.shape, int)
        for value, raw in zip(values, (7, 8, 11, 17), strict=True):
            answer[raw == TRUTH] = value
        answer[TRUTH == 0] = values[0]
        save(folder / "a.png", answer)
        assert evaluate_predictions(folder, split).miou == 1
        answer[0, 0] = 5
        save(folder / "a.png", answer)
        with pytest.raises(InputError, match=f"holds the id 5, but {SIDECAR} beside it knows {values[0]}"):
            evaluate_predictions(folder, split)


def test_classes_that_the_data_lack(tmp_path: Path) -> None:
    split = resolve(dataset(tmp_path, f"{{kind: ids, {MAP}}}"))
    train_id_sidecar("m", class_set(("dog", *NAMES))).claim(tmp_path / "p")
    save(tmp_path / "p" / "a.png", np.array([[1, 2, 3], [1, 0, 4]]))
    with pytest.raises(InputError, match="have nothing for dog"):
        evaluate_predictions(tmp_path / "p", split)
    result = evaluate_predictions(tmp_path / "p", split, scored=NAMES).scored(NAMES)
    np.testing.assert_array_equal(result.iou[1:], [1, 1, 1, 0])


@pytest.mark.parametrize("scale", [1, 2])
def test_unequal_sizes_follow_the_data_sets_rule(tmp_path: Path, scale: int) -> None:
    """The label is twice as large as the image; predictions have the size of either."""
    text = dataset(tmp_path, f"{{kind: ids, {MAP}, unequal_sizes: resize}}")
    save(tmp_path / "lab" / "a.png", np.kron(TRUTH, np.ones((2, 2), int)))
    save(tmp_path / "p" / "a.png", np.kron(np.where(TRUTH == 0, 7, TRUTH), np.ones((scale, scale), int)))
    result = evaluate_predictions(tmp_path / "p", resolve(text), ids="label_ids")
    assert result.miou == 1 and result.confusion.sum() == 5 * scale**2
    save(tmp_path / "p" / "a.png", np.full((3, 3), 7))
    with pytest.raises(InputError, match=r"is 3 x 3 pixels.* is 6 x 4; predict at .* or the image's, 3 x 2"):
        evaluate_predictions(tmp_path / "p", resolve(text), ids="label_ids")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_predictions_of_upright_pictures_are_turned_back(tmp_path: Path, orientation: int) -> None:
    split = resolve(dataset(tmp_path, f"{{kind: ids, {MAP}}}"))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (3, 2)).save(tmp_path / "img" / "a.png", exif=exif)
    stored = Image.fromarray(np.array([[0, 1, 2], [0, 3, 3]], np.uint8))
    stored.getexif()[0x0112] = orientation
    from PIL import ImageOps

    train_id_sidecar("m", class_set(NAMES), upright=True).claim(tmp_path / "p")
    save(tmp_path / "p" / "a.png", np.array(ImageOps.exif_transpose(stored)))
    assert evaluate_predictions(tmp_path / "p", split).miou == 1


def test_hidden_files_are_no_predictions(tmp_path: Path) -> None:
    split = resolve(dataset(tmp_path, f"{{kind: ids, {MAP}}}"))
    save(tmp_path / "p" / "a_label.PNG", TRUTH)
    for name in ("._a_label.png", ".a_label.k3j.partial.png"):
        (tmp_path / "p" / name).write_bytes(b"Mac OS X")
    assert evaluate_predictions(tmp_path / "p", split).miou == 1


@pytest.mark.parametrize("text", ["[]", '[{"image_id": 1}]', "{", '{"ids": "train_ids"}'])
def test_another_programs_file_of_that_name(tmp_path: Path, text: str) -> None:
    split = resolve(dataset(tmp_path, f"{{kind: ids, {MAP}}}"))
    save(tmp_path / "p" / "a.png", TRUTH)
    (tmp_path / "p" / SIDECAR).write_text(text)
    with pytest.raises(InputError, match=rf"{SIDECAR}.*--prediction-ids\)$"):
        open_predictions(tmp_path / "p", split)
    assert evaluate_predictions(tmp_path / "p", split, ids="label_ids").miou == 1


def test_a_sidecar_is_claimed_once_and_read_strictly(tmp_path: Path) -> None:
    sidecar = train_id_sidecar("runs/a", class_set(NAMES))
    assert read_sidecar(tmp_path) is None
    sidecar.claim(tmp_path)
    sidecar.claim(tmp_path)
    assert read_sidecar(tmp_path) == sidecar and sidecar.names == NAMES
    with pytest.raises(InputError, match="holds predictions of other classes or ids"):
        train_id_sidecar("runs/b", class_set(NAMES[::-1])).claim(tmp_path)
    data = json.loads((tmp_path / SIDECAR).read_text())
    for changes, message in (
        ({"ids": "colors"}, "ids"),
        ({"classes": {"sky": -1}}, "classes.sky"),
        ({"classes": {"sky": 1, "wall": 1}}, "same value"),
        ({"classes": {}}, "classes"),
    ):
        (tmp_path / SIDECAR).write_text(json.dumps({**data, **changes}))
        with pytest.raises(InputError, match=message) as error:
            read_sidecar(tmp_path)
        assert str(error.value).startswith(f"{tmp_path / SIDECAR}: ")
    (tmp_path / SIDECAR).write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        read_sidecar(tmp_path)
