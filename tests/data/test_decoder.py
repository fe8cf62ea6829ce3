"""Label rules and the tables they become, against loops."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from segshift.config import parse
from segshift.data.decoder import UNMAPPED, LabelDecoder, LabelRule, build_decoder
from segshift.data.labels import IGNORE, class_set
from segshift.errors import InputError
from tests.data.files import CLASSES, assert_one_line, save

SET = class_set(CLASSES)


def rule(**keys: object) -> LabelRule:
    return parse(LabelRule, keys, where="rule")


@given(
    raw=npst.arrays(np.uint16, npst.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 40)),
    values=st.dictionaries(st.integers(0, 40), st.sampled_from([0, 1, 2, IGNORE])),
    wide=st.booleans(),
)
def test_ids_agree_with_a_loop(raw: np.ndarray, values: dict[int, int], wide: bool) -> None:
    raw = raw if wide else raw.astype(np.uint8)
    decoded = LabelDecoder("ids", values).decode(raw)
    assert decoded.dtype == np.uint8
    assert decoded.tolist() == [[values.get(int(value), IGNORE) for value in row] for row in raw]


@given(
    raw=npst.arrays(np.uint32, npst.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 2**24 - 1)),
    train_ids=st.lists(st.sampled_from([0, 1, 254, IGNORE]), max_size=12),
    data=st.data(),
)
def test_colors_agree_with_a_loop(raw: np.ndarray, train_ids: list[int], data: st.DataObject) -> None:
    occurring = st.sampled_from([*sorted({int(value) for value in raw.ravel()}), 0, 2**24 - 1])
    values = {data.draw(occurring): train_id for train_id in train_ids}
    decoder = LabelDecoder("rgb", values)
    assert decoder.decode(raw).tolist() == [[values.get(int(value), IGNORE) for value in row] for row in raw]
    expected: dict[int, int] = {}
    for value in raw.ravel().tolist():
        if value not in values:
            expected[value] = expected.get(value, 0) + 1
    assert decoder.unmapped(raw) == expected
    assert (decoder.look_up(raw) == UNMAPPED).sum() == sum(expected.values())


def test_other_error_names_the_commonest_stray_id_with_its_share() -> None:
    decoder = build_decoder(rule(kind="ids", map={7: "floor"}, other="error"), SET, "own.yaml")
    raw = np.array([[7, 7, 7, 9], [7, 8, 8, 8]], np.uint8)
    with pytest.raises(InputError) as caught:
        decoder.decode(raw, "mask.png")
    assert_one_line(caught.value, "mask.png", "id 8", "37.50%", "own.yaml", "`labels.map`", "other: ignore")
    assert decoder.decode(raw[:1, :3]).tolist() == [[0, 0, 0]]


def test_ids_map_to_the_classes_train_ids() -> None:
    decoder = build_decoder(
        rule(kind="ids", map={7: "rack", 11: "rack", 900: "person"}, ignore=[3]), SET, "y"
    )
    assert decoder.decode(np.array([[7, 11, 900, 3, 4]], np.uint16)).tolist() == [[1, 1, 2, IGNORE, IGNORE]]
    assert decoder.unmapped(np.array([[7, 3, 4, 4]], np.uint16)) == {4: 2}


def test_train_ids_stay_and_255_is_ignore() -> None:
    decoder = build_decoder(rule(ignore=[11], other="error"), SET, "y")
    assert decoder.decode(np.array([[0, 1, 2, 11, 255]], np.uint8)).tolist() == [[0, 1, 2, IGNORE, IGNORE]]
    with pytest.raises(InputError, match="id 3"):
        decoder.decode(np.array([[3]], np.uint8))


def test_colors_map_to_train_ids(tmp_path: Path) -> None:
    colors = {"128,64,128": "floor", "0, 0, 142": "person"}
    decoder = build_decoder(rule(kind="rgb", map=colors, ignore=["0,0,0"], other="error"), SET, "y")
    picture = np.array([[[128, 64, 128], [0, 0, 142], [0, 0, 0]]], np.uint8)
    path = save(tmp_path / "a.png", picture)
    assert decoder.read(path).tolist() == [[0, 2, IGNORE]]
    save(path, np.array([[[1, 2, 3]]], np.uint8))
    with pytest.raises(InputError) as caught:
        decoder.read(path)
    assert_one_line(caught.value, str(path), "color 1,2,3")


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        ({"kind": "ids"}, ["`labels.map` is missing", "train_ids"]),
        ({"kind": "train_ids", "map": {1: "floor"}}, ["`labels.map` needs kind: ids or rgb"]),
        ({"kind": "ids", "map": {1: "flor"}}, ["1 = 'flor'", "did you mean `floor`?"]),
        ({"kind": "ids", "map": {"one": "floor"}}, ["'one'", "kind: rgb"]),
        ({"kind": "ids", "map": {-1: "floor"}}, ["-1", "0..65535"]),
        ({"kind": "ids", "map": {70000: "floor"}}, ["70000", "0..65535"]),
        ({"kind": "ids", "map": {1: "floor", "01": "rack"}}, ["twice"]),
        ({"kind": "ids", "map": {1: "floor"}, "ignore": [1]}, ["`labels.ignore`", "'floor'"]),
        ({"kind": "rgb", "map": {7: "floor"}}, ["7", '"R,G,B"']),
        ({"kind": "rgb", "map": {"1,2,300": "floor"}}, ["1,2,300", "0..255"]),
    ],
)
def test_rules_that_do_not_fit_are_one_line(keys: dict[str, object], parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        build_decoder(rule(**keys), SET, "own.yaml")
    assert_one_line(caught.value, "own.yaml", *parts)


def test_an_unknown_kind_lists_the_known() -> None:
    with pytest.raises(InputError) as caught:
        rule(kind="id")
    assert_one_line(caught.value, "`kind` = 'id'", "train_ids")


def test_a_named_map_ignores_the_classes_that_the_data_set_lacks() -> None:
    named = rule(kind="ids", map="cityscapes_ids", ignore=[40])
    decoder = build_decoder(named, class_set(["car", "road"]), "y")
    # road, sidewalk, car, unlabeled, the further ignored one, and an id that nobody named
    raw = np.array([[7, 8, 26, 0, 40, 77]], np.uint8)
    assert decoder.decode(raw).tolist() == [[1, IGNORE, 0, IGNORE, IGNORE, IGNORE]]
    assert decoder.unmapped(raw) == {77: 1}


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ({"kind": "ids", "map": "cityscape_ids"}, "did you mean `cityscapes_ids`?"),
        ({"kind": "rgb", "map": "cityscapes_ids"}, "needs kind: ids"),
        ({"kind": "train_ids", "map": "cityscapes_ids"}, "needs kind: ids or rgb"),
    ],
)
def test_named_maps_that_do_not_fit(keys: dict[str, object], part: str) -> None:
    with pytest.raises(InputError) as caught:
        build_decoder(rule(**keys), SET, "own.yaml")
    assert_one_line(caught.value, "own.yaml", "`labels.map`", part)


@given(
    label=npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=2, max_side=9)),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
)
def test_unequal_labels_take_the_nearest_pixels_by_centers(
    label: np.ndarray, height: int, width: int
) -> None:
    fitted = LabelDecoder("ids", {}, unequal_sizes="resize").fitted(label, (height, width))
    exact = torch.nn.functional.interpolate(
        torch.from_numpy(label)[None, None], (height, width), mode="nearest-exact"
    )
    np.testing.assert_array_equal(fitted, exact[0, 0].numpy())
    assert LabelDecoder("ids", {}).fitted(label, (height, width)) is label
