"""Class sets, palettes and the tables between sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segshift.data.labels import (
    IGNORE,
    ClassSet,
    agreed_classes,
    class_mapping,
    class_set,
    class_set_names,
    common_class_sets,
    distinct_colors,
    label_map,
)
from segshift.errors import InputError
from tests.data.files import assert_one_line

CITYSCAPES = [
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
    "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
]  # fmt: skip


def test_the_cityscapes_sets_are_the_published_subsets_in_train_id_order() -> None:
    nineteen = class_set("cityscapes19").names
    assert list(nineteen) == CITYSCAPES
    without = {"terrain", "truck", "train"}
    assert class_set("cityscapes16").names == tuple(name for name in nineteen if name not in without)
    without |= {"wall", "fence", "pole"}
    assert class_set("cityscapes13").names == tuple(name for name in nineteen if name not in without)


def test_camvid_sets() -> None:
    eleven = "sky, building, pole, road, sidewalk, vegetation, traffic sign, fence, car, person, bicyclist"
    assert ", ".join(class_set("camvid11").names) == eleven
    assert class_set("camvid10").names == class_set("camvid11").names[:10]
    assert set(class_set("camvid10").names) <= set(class_set("cityscapes16").names)


@pytest.mark.parametrize("name", class_set_names())
def test_builtin_sets_have_as_many_distinct_colors_as_classes(name: str) -> None:
    classes = class_set(name)
    assert classes.name == name
    assert len(set(classes.colors)) == classes.count == len(set(classes.names))
    assert name.endswith(str(classes.count))
    assert (0, 0, 0) not in classes.colors


def test_one_class_has_one_color_in_all_sets() -> None:
    colors: dict[str, tuple[int, int, int]] = {}
    for name in class_set_names():
        classes = class_set(name)
        for one, color in zip(classes.names, classes.colors, strict=True):
            assert colors.setdefault(one, color) == color


def test_the_palette_paints_ignore_black() -> None:
    palette = class_set("camvid11").palette
    assert palette.shape == (256, 3)
    assert palette.dtype == np.uint8
    assert tuple(palette[3]) == (128, 64, 128)
    assert not palette[11:].any()


def test_an_alias_is_the_set_itself() -> None:
    assert class_set("cityscapes") == class_set("cityscapes19")


def test_unknown_set_suggests_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        class_set("cityscape19")
    assert_one_line(caught.value, "'cityscape19'", "did you mean `cityscapes19`?")


@pytest.mark.parametrize(
    ("names", "part"),
    [
        ([], "empty"),
        (["road", "road"], "'road' stands twice"),
        (["road", " "], "a name is empty"),
        ([str(i) for i in range(256)], "256"),
    ],
)
def test_impossible_lists_are_refused(names: list[str], part: str) -> None:
    with pytest.raises(InputError) as caught:
        class_set(names)
    assert_one_line(caught.value, part)


def test_a_palette_of_another_length_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        class_set(["floor", "rack"], palette=[(1, 2, 3)])
    assert_one_line(caught.value, "1 colors for 2 classes")


def test_a_named_palette_gives_own_colors_by_name_and_the_rest_in_order() -> None:
    classes = class_set(["floor", "road", "rack"], palette="cityscapes")
    assert classes.colors == ((244, 35, 232), (128, 64, 128), (70, 70, 70))


@given(st.lists(st.sampled_from([*CITYSCAPES, *(f"x{i}" for i in range(60))]), min_size=1, unique=True))
def test_generated_palettes_have_distinct_colors(names: list[str]) -> None:
    for palette in (None, "camvid11"):
        colors = class_set(names, palette=palette).colors
        assert len(set(colors)) == len(names)
        assert all(max(color) >= 60 for color in colors)


def test_distinct_colors_hold_for_the_largest_set() -> None:
    colors = distinct_colors(255)
    assert len(set(colors)) == 255


names = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True)


@given(names, names)
def test_mapping_agrees_with_a_loop(source_names: list[str], target_names: list[str]) -> None:
    source, target = class_set(source_names, name="one"), class_set(target_names, name="two")
    if not set(target_names) <= set(source_names):
        with pytest.raises(InputError) as caught:
            class_mapping(source, target)
        assert_one_line(caught.value, source.listing(), target.listing())
        return
    expected = [IGNORE] * 256
    for index, name in enumerate(source_names):
        if name in target_names:
            expected[index] = target_names.index(name)
    table = class_mapping(source, target)
    assert table.dtype == np.uint8
    assert table.tolist() == expected


def test_cityscapes_classes_merge_into_camvids() -> None:
    source, target = class_set("cityscapes19"), class_set("camvid11")
    table = class_mapping(source, target)
    merged = {
        one: target.names[table[i]] if table[i] != IGNORE else None for i, one in enumerate(source.names)
    }
    assert merged == {
        "road": "road",
        "sidewalk": "sidewalk",
        "building": "building",
        "wall": "building",
        "fence": "fence",
        "pole": "pole",
        "traffic light": "traffic sign",
        "traffic sign": "traffic sign",
        "vegetation": "vegetation",
        "terrain": None,
        "sky": "sky",
        "person": "person",
        "rider": "bicyclist",
        "car": "car",
        "truck": "car",
        "bus": "car",
        "train": None,
        "motorcycle": None,
        "bicycle": "bicyclist",
    }
    assert (table[19:] == IGNORE).all()


def test_cityscapes_classes_merge_into_robotcars_as_adaptpatch_does() -> None:
    source, target = class_set("cityscapes19"), class_set("robotcar9")
    table = class_mapping(source, target)
    # By Cityscapes' train ids: road to sign, vegetation and terrain, sky, person, rider, car to bus, train,
    # motorcycle, bicycle; the nine ids are those of the published annotation.
    expected = [8, 7, 6, 255, 255, 255, 5, 4, 255, 255, 0, 1, 1, 3, 3, 3, 255, 2, 2]
    assert table[:19].tolist() == expected


def test_cityscapes_classes_merge_into_idds_first_level() -> None:
    table = class_mapping(class_set("cityscapes19"), class_set("idd7"))
    assert table[:19].tolist() == [0, 1, 5, 4, 4, 4, 4, 4, 5, 1, 6, 2, 2, 3, 3, 3, 3, 3, 3]


def test_named_label_maps_know_their_classes_and_no_id_twice() -> None:
    named = label_map("cityscapes_ids")
    assert set(named.classes.values()) == set(CITYSCAPES)
    assert sorted([*named.classes, *named.ignore]) == list(range(35)) and not set(named.classes) & set(
        named.ignore
    )
    with pytest.raises(InputError) as caught:
        label_map("cityscapes_id")
    assert_one_line(caught.value, "did you mean `cityscapes_ids`?")


def test_mergers_are_for_street_classes_only() -> None:
    # A "wall" of a warehouse is nobody's building.
    source = ClassSet("indoor", ("wall", *class_set("camvid11").names), distinct_colors_of(12))
    assert class_mapping(source, class_set("camvid11"))[0] == IGNORE


def distinct_colors_of(count: int) -> tuple[tuple[int, int, int], ...]:
    return tuple(distinct_colors(count))


def test_ten_camvid_classes_ignore_riders() -> None:
    source = class_set("cityscapes19")
    table = class_mapping(source, class_set("camvid10"))
    assert table[source.names.index("rider")] == IGNORE
    assert table[source.names.index("bus")] == class_set("camvid10").names.index("car")


def test_the_larger_sets_cover_the_smaller() -> None:
    assert common_class_sets(class_set("cityscapes19"), class_set("cityscapes16")) == [
        "cityscapes16",
        "cityscapes13",
        "camvid11",
        "camvid10",
        "robotcar9",
        "idd7",
    ]


def test_equal_classes_in_another_order_agree_in_the_sources_order() -> None:
    source, target = class_set(["a", "b", "c"]), class_set(["c", "a", "b"])
    assert agreed_classes(source, target, None) == source


def test_different_classes_name_both_sets_and_the_remedy() -> None:
    source, target = class_set("cityscapes19"), class_set("camvid11")
    with pytest.raises(InputError) as caught:
        agreed_classes(source, target, None)
    assert_one_line(
        caught.value, source.listing(), target.listing(), "`classes:`", "--set 'classes=camvid11'"
    )


def test_different_classes_without_any_common_name_say_so() -> None:
    with pytest.raises(InputError) as caught:
        agreed_classes(class_set(["floor"]), class_set(["sea"]), None)
    assert_one_line(caught.value, "custom (floor)", "custom (sea)", "share no name")


def test_common_classes_by_set_and_by_list() -> None:
    source, target = class_set("cityscapes19"), class_set("camvid11")
    assert agreed_classes(source, target, "camvid11") == target
    own = agreed_classes(source, target, ["car", "road"])
    assert own.names == ("car", "road")
    assert own.colors == ((0, 0, 142), (128, 64, 128))


def test_common_classes_that_one_lacks_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        agreed_classes(class_set("cityscapes19"), class_set("camvid11"), "cityscapes16")
    assert_one_line(caught.value, "camvid11", "wall, traffic light", "classes=camvid11")
