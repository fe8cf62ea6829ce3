"""The parts of a diagnosis: maps on a canvas, distances, held-out images, intervals, and the advice."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from segshift.analysis.diagnosis import DiagnosisSettings
from segshift.analysis.diagnosis.confidence import confidence_drop
from segshift.analysis.diagnosis.domains import common_classes
from segshift.analysis.diagnosis.held_out import effective_count, hold_out, proxy_a_distance, wilson
from segshift.analysis.diagnosis.maps import class_areas, shrink_image, vote
from segshift.analysis.diagnosis.measured import Gain, MeasuredPair, Measurements, measurements
from segshift.analysis.diagnosis.recommendation import Placement, Recommendation, recommend, verdict
from segshift.analysis.diagnosis.separability import Separability
from segshift.analysis.diagnosis.statistics import (
    ColorCounts,
    LabelCounts,
    divergence_by_class,
    half_of,
    jensen_shannon_bits,
    layout_distance,
    placement_distance,
    spatial_distance,
    wasserstein,
)
from segshift.data.labels import class_set
from segshift.data.resolve import resolve
from segshift.engine.presets import preset_names
from segshift.errors import InputError

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


def test_divergences_are_those_of_scipy() -> None:
    p, q = RANDOM.dirichlet(np.ones(6), 2)
    q[2] = 0
    q /= q.sum()
    assert float(jensen_shannon_bits(p, q)) == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert divergence_by_class(p, q).sum() == pytest.approx(float(jensen_shannon_bits(p, q)))
    assert (divergence_by_class(p, q) >= 0).all() and int(divergence_by_class(p, q).argmax()) >= 0
    assert float(jensen_shannon_bits(np.array([1.0, 0]), np.array([0, 1.0]))) == pytest.approx(1)
    maps = np.moveaxis(RANDOM.dirichlet(np.ones(3), (2, 4, 5)), -1, 1)
    expected = np.mean(
        [jensenshannon(maps[0, :, y, x], maps[1, :, y, x], base=2) ** 2 for y in range(4) for x in range(5)]
    )
    assert spatial_distance(maps[0], maps[1]) == pytest.approx(expected)
    # A place without a label in one domain says nothing.
    maps[0, :, 0, 0] = 0
    assert np.isfinite(spatial_distance(maps[0], maps[1]))


def test_placement_does_not_depend_on_frequency() -> None:
    a = np.zeros((4, 4))
    a[0] = 0.8
    assert placement_distance(a, a / 10) == pytest.approx(0)
    assert placement_distance(a, a[::-1]) == pytest.approx(1)
    assert np.isnan(placement_distance(a, np.zeros((4, 4))))


def test_layouts_are_compared_whatever_the_shares() -> None:
    a = np.zeros((3, 4, 4))
    a[0, :2], a[1, 2:] = 1, 1
    assert layout_distance(a, a[:, ::-1]) == pytest.approx(1)
    rare = a.copy()
    rare[0, :2], rare[2, :2] = 0.4, 0.6
    assert layout_distance(a, rare) == pytest.approx(0)
    # The second class is half a map, and half of it lies elsewhere; the first has 3 of 4 quarters.
    b = np.zeros((3, 4, 4))
    b[0, :2], b[0, 2:, :2], b[1, 2:, 2:] = 1, 1, 1
    expected = (20 * (1 / 3) + 12 * 0.5) / 32
    assert layout_distance(a, b) == pytest.approx(expected)
    # What one domain leaves unlabelled says nothing about places.
    b[:, 2:, :2] = 0
    assert layout_distance(a, b) == pytest.approx(0)
    assert np.isnan(layout_distance(a, np.roll(a, 1, axis=0)[[0, 0, 0]]))


def test_counts_of_classes() -> None:
    counts = LabelCounts(3, (2, 2))
    first = np.array([[0, 0], [1, 255]], np.uint8)
    second = np.full((4, 4), 1, np.uint8)
    for half, label in enumerate((first, second)):
        counts.add(label, class_areas(label, 3, (2, 2)), half)
    np.testing.assert_allclose(counts.shares(), [2 / 7, 5 / 7, 0])
    np.testing.assert_allclose(counts.shares(1), [0, 1, 0])
    np.testing.assert_allclose(counts.image_shares, [0.5, 1, 0])
    assert counts.ignored_share == pytest.approx(0.125)
    np.testing.assert_allclose(counts.maps()[1], np.array([[0.5, 0.5], [1, 1]]))
    assert [half_of(index, 8) for index in range(8)] == [0, 0, 1, 1, 0, 0, 1, 1]


def test_colors_are_those_of_the_pixels() -> None:
    first = RANDOM.integers(0, 200, (30, 40, 3), dtype=np.uint8)
    second = RANDOM.integers(60, 256, (20, 30, 3), dtype=np.uint8)
    counts = ColorCounts(), ColorCounts()
    for one, image in zip(counts, (first, second), strict=True):
        one.add(image)
    for channel in range(3):
        a, b = first[..., channel].ravel(), second[..., channel].ravel()
        assert wasserstein(*counts, channel) == pytest.approx(stats.wasserstein_distance(a, b))
        assert counts[0].mean_std(channel) == pytest.approx((a.mean(), a.std()))
    gray = ColorCounts()
    gray.add(np.full((9, 9, 3), 119, np.uint8))
    # The CIE formula: L = 116 (Y)^(1/3) - 16 with Y the linear intensity.
    linear = ((119 / 255 + 0.055) / 1.055) ** 2.4
    assert gray.mean_std(3)[0] == pytest.approx(116 * linear ** (1 / 3) - 16, abs=0.3)
    assert gray.mean_std(4)[0] == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize(("count", "held_out"), [(8, 2), (50, 12), (300, 75), (1000, 500), (9, 4)])
def test_stretches_are_held_out_and_their_neighbors_not_trained_on(count: int, held_out: int) -> None:
    turns = [hold_out(count, held_out, turn) for turn in range(count // held_out)]
    for train, test in turns:
        assert len(test) == held_out and not set(train) & set(test) and len(train)
        # At most two stretches, each of which may wrap around the end of its half.
        assert np.count_nonzero(np.diff(test) > 1) <= 3
        if count >= 32:
            assert min(abs(int(a) - int(b)) for a in train for b in test) >= 2
    tested = np.concatenate([test for _, test in turns])
    assert len(set(tested.tolist())) >= 0.9 * held_out * len(turns)


@pytest.mark.parametrize(("wrong", "count"), [(0, 20), (7, 20), (10, 20), (45, 450)])
def test_intervals_are_wilsons(wrong: int, count: int) -> None:
    expected = stats.binomtest(wrong, count).proportion_ci(method="wilson")
    assert wilson(wrong / count, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_images_of_one_scene_count_less() -> None:
    independent = RANDOM.integers(0, 2, (40, 50)).astype(float)
    many = 10**9
    assert effective_count(2000, list(independent), many) > 1700
    scenes = np.repeat(independent[:, :10], 5, axis=1)
    assert effective_count(2000, list(scenes), many) < 700
    # A classifier that calls everything source is wrong about all of the target, which is no scene.
    assert effective_count(40, [np.zeros(20), np.ones(20)], 120) == 40
    # Three seeds that train on what the others are tested on are less than three independent tests.
    assert effective_count(120, [np.zeros(20), np.ones(20)] * 3, 120) == 60
    assert proxy_a_distance(0.5) == 0 and proxy_a_distance(0.0) == 2


def test_sizes_of_patches() -> None:
    sizes = DiagnosisSettings().patch_sizes()
    assert DiagnosisSettings().canvas_cells == (128, 96)
    assert sizes == {"45": (12, 12), "90": (24, 24), "180": (48, 48), "whole": None}
    paper = DiagnosisSettings(size=(1024, 512), canvas=(1024, 512), patches=(512, 64, 256, 128))
    assert list(paper.patch_sizes()) == ["64", "128", "256", "512", "whole"]
    assert paper.patch_sizes()["64"] == (64, 64)
    with pytest.raises(InputError, match="larger than the shorter side"):
        DiagnosisSettings(patches=(400,)).patch_sizes()
    with pytest.raises(InputError, match="less than 2 cells"):
        DiagnosisSettings(patches=(4,)).patch_sizes()


def test_classes_in_common(toy_source: Path) -> None:
    toy = resolve(str(toy_source))
    city = replace(toy, classes=class_set("cityscapes19"))
    camvid = replace(toy, classes=class_set("camvid11"))
    assert common_classes(city, camvid, None).name == "camvid11"
    assert common_classes(city, city, None) == class_set("cityscapes19")
    assert common_classes(city, camvid, ["road", "sky"]).names == ("road", "sky")
    own = replace(toy, classes=class_set(["hut", "ground", "sky"]))
    assert common_classes(toy, own, None).names == ("sky", "ground")
    with pytest.raises(InputError, match="nothing for"):
        common_classes(camvid, camvid, "cityscapes19")
    with pytest.raises(InputError, match="share no name"):
        common_classes(toy, replace(toy, classes=class_set(["hut"])), None)


def found(error: float, images: float = 400) -> Separability:
    return Separability((10,), np.array([[error], [error]]), np.array([error, error]), int(images), images)


def measured(**gains: tuple[float, float]) -> Measurements:
    """Two pairs of equal drop and gap; a method's gain on the first is (mean, spread), on the second half."""
    pairs = [
        MeasuredPair(
            pair=name,
            command="",
            network="",
            seeds=3,
            steps=400,
            confidence_drop=drop,
            control=40,
            oracle=Gain(mean=6, spread=1),
            methods={key: Gain(mean=share * mean, spread=std) for key, (mean, std) in gains.items()},
        )
        for name, drop, share in (("a → b", 8, 1), ("c → d", 5, 0.5))
    ]
    return Measurements(tuple(pairs))


NOTHING_GAINS = measured(advent=(-1, 0.5))


def advise(*arguments: Any, **named: Any) -> Recommendation:
    """By the layouts alone."""
    return recommend(*arguments, **{"table": NOTHING_GAINS, **named})


def errors(*values: float, images: float = 400) -> dict[str, Separability]:
    return dict(zip(("45", "90", "180", "whole"), (found(one, images) for one in values), strict=True))


def test_verdicts() -> None:
    assert [verdict(found(e)) for e in (0.02, 0.25, 0.3, 0.39, 0.4, 0.5, 0.6)] == [
        "apart", "apart", "partly", "partly", "alike", "alike", "alike",
    ]  # fmt: skip
    # Few images, by chance below: nobody may read this as a difference.
    assert verdict(found(0.35, images=16)) == "unclear" and verdict(found(0.45, images=16)) == "alike"


@pytest.mark.parametrize(
    ("labels", "alignment", "patch_px", "preset"),
    [
        (errors(0.49, 0.46, 0.2, 0.01), "local", 90, "local_alignment"),
        (errors(0.49, 0.45, 0.41, 0.3), "local", 180, "local_alignment"),
        (errors(0.5, 0.51, 0.49, 0.48), "global", None, "advent"),
        (errors(0.3, 0.2, 0.1, 0.0), "risky", None, "adabn_training"),
        (errors(0.1, 0.3, 0.45, 0.45), "risky", None, "adabn_training"),
        # A patch of 180 px holds those of 45 px, which are told apart: it cannot be safe.
        (errors(0.1, 0.3, 0.45, 0.1), "risky", None, "adabn_training"),
        (errors(0.45, 0.3, 0.45, 0.1), "local", 45, "local_alignment"),
        (errors(0.5, 0.5, 0.4, 0.35, images=16), "unclear", None, None),
        (None, "unknown", None, None),
    ],
)
def test_advice(
    labels: dict[str, Separability] | None, alignment: str, patch_px: int | None, preset: str | None
) -> None:
    advice = advise(labels, None, None, ["road"], [], False)
    assert (advice.alignment, advice.patch_px) == (alignment, patch_px)
    assert (advice.presets[0] if advice.presets else None) == preset
    if labels is not None:
        assert f"error {100 * labels['whole'].error:.1f} %" in advice.sentences[0]


def test_small_patches_that_hide_a_difference_do_not_make_it_a_layout() -> None:
    """Smaller objects, or a class that is missing: small patches show too little of either."""
    told = errors(0.46, 0.36, 0.12, 0.02)
    layout = advise(told, None, None, ["car"], [], False, Placement(0.22, 0.12))
    assert (layout.alignment, layout.patch_px) == ("local", 45)
    same = advise(told, None, None, ["car"], [], False, Placement(0.08, 0.09))
    text = words(same.sentences)
    assert (same.alignment, same.patch_px) == ("risky", None)
    assert "not the layout. The classes lie in the same places (placement 0.08, between halves" in text
    assert "only patches up to 45 px hide it" in text and "shares of car differ most" in text
    unknown = advise(told, None, None, [], [], False, Placement(float("nan"), 0.1))
    assert unknown.alignment == "local"
    alike = advise(errors(0.5, 0.5, 0.5, 0.5), None, None, [], [], False, Placement(0.1, 0.2))
    assert alike.alignment == "global"


def words(advice_of: Sequence[str]) -> str:
    return " ".join(advice_of)


def test_advice_on_style_classes_and_predictions() -> None:
    same = errors(0.5, 0.5, 0.5, 0.48)
    style = advise(same, errors(0.2, 0.1, 0.05, 0.01), None, [], [], False)
    assert style.style_gap is True and style.presets[0] == "adabn_training"
    assert "whole images are told apart (error 1.0 %" in words(style.sentences)
    none = advise(same, same, None, [], [], False)
    assert none.style_gap is False and "little to adapt" in words(none.sentences)
    assert none.alignment == "global" and not none.presets and "preset source_only" in words(none.sentences)
    chance = errors(0.5, 0.5, 0.5, 0.48, images=12)
    luck = advise(chance, chance, None, [], [], False)
    assert not luck.presets and "as far as so few images show" in words(luck.sentences)
    assert "Nothing here" not in words(luck.sentences) and "So few images leave" in words(luck.sentences)
    few = advise(same, errors(0.4, 0.4, 0.4, 0.3, images=16), None, [], [], False)
    assert few.style_gap is None and few.presets[0] == "advent"
    assert "Images are too few to judge" in words(few.sentences)
    assert "so are the label maps" not in words(few.sentences)
    both = advise(errors(0.1, 0.1, 0.1, 0.0), errors(0.1, 0.1, 0.1, 0.0), None, [], [], False)
    assert both.style_gap is None and "not separated" in words(both.sentences)
    mixed = advise(errors(0.5, 0.4, 0.1, 0.0), errors(0.1, 0.1, 0.0, 0.0), None, [], [], False)
    assert mixed.alignment == "local" and mixed.style_gap is True
    assert "patches of 90 px of the images" in words(mixed.sentences)
    told = advise(errors(0.1, 0.1, 0.1, 0.0), same, found(0.1), ["car", "sky"], ["train"], True)
    text = words(told.sentences)
    assert "The shares of car and sky differ most" in text
    assert "Only one domain has train in the predictions: that can" in text
    assert "predictions of the network in both domains" in text and "features are told apart" in text
    unknown = advise(None, errors(0.1, 0.1, 0.0, 0.0), None, [], [], False)
    assert unknown.style_gap is None and "style or by content is not known" in words(unknown.sentences)
    few = advise(errors(0.42, 0.2, 0.1, 0.0, images=20), None, None, [], [], False)
    assert few.patch_px == 45 and "So few images" in words(few.sentences)
    assert "So few images" not in words(mixed.sentences)
    assert "features are too few to judge (error" in words(
        advise(None, None, found(0.35, images=16), [], [], False).sentences
    )
    small = advise({"20": found(0.5), "whole": found(0.0)}, None, None, [], [], False)
    assert small.patch_px == 20 and "1.6 times as large" in words(small.sentences)


def test_the_method_is_the_one_that_gained_most_where_it_was_measured() -> None:
    told = errors(0.49, 0.46, 0.2, 0.01)
    table = measured(advent=(1, 0.4), mean_teacher=(3, 1))
    assert table.best() == "mean_teacher"
    assert table.mean_gain("mean_teacher") == pytest.approx(2.25)
    advice = recommend(told, None, None, [], [], False, table=table)
    assert advice.presets == ["mean_teacher", "local_alignment"]
    text = words(advice.sentences)
    assert (
        "mean_teacher gained most over the control: a → b +3.0 ± 1.0 of 6.0 possible; c → d +1.5 ± 1.0"
        in text
    )
    assert "On c → d that is less than twice the spread" in text and "It lost" not in text
    other = recommend(told, None, None, [], [], False, table=measured(advent=(4, 0.1), mean_teacher=(3, 1)))
    assert other.presets[0] == "advent"
    nothing = recommend(told, None, None, [], [], False, table=NOTHING_GAINS)
    assert nothing.presets == ["local_alignment"] and "did a method gain" in words(nothing.sentences)
    # Without label maps the images decide whether anything is recommended.
    apart, alike = errors(0.1, 0.1, 0.0, 0.0), errors(0.5, 0.5, 0.5, 0.5)
    assert recommend(None, apart, None, [], [], False, table=table).presets == ["mean_teacher"]
    assert recommend(None, alike, None, [], [], False, table=table).presets == []


def test_a_method_that_was_not_measured_everywhere_is_not_chosen() -> None:
    first, second = measured(advent=(1, 0.4), mean_teacher=(3, 1)).pairs
    partly = Measurements(
        (first, second.model_copy(update={"methods": {"advent": Gain(mean=-0.5, spread=0.1)}}))
    )
    assert partly.best() == "advent" and "It lost on c → d" in words(partly.sentences())


@pytest.mark.parametrize(("drop", "needed"), [(0.0, False), (0.1, True), (0.025, None)])
def test_a_network_that_is_as_sure_of_the_target_needs_nothing(drop: float, needed: bool | None) -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, 200)
    found_drop = confidence_drop(0.8 + noise, 0.8 - drop + noise)
    assert found_drop.drop == pytest.approx(drop)
    assert found_drop.interval[0] < drop < found_drop.interval[1]
    table = measured(mean_teacher=(3, 1))
    assert table.small_drop() == 2.5
    told = errors(0.49, 0.46, 0.2, 0.01)
    advice = recommend(told, None, None, [], [], False, confidence=found_drop, table=table)
    assert advice.needed is needed
    assert ("You do not need adaptation" in words(advice.sentences)) == (needed is False)
    assert advice.presets == ([] if needed is False else ["mean_teacher", "local_alignment"])


def test_the_table_of_the_package() -> None:
    table = measurements()
    assert table.pairs and all(pair.seeds >= 2 for pair in table.pairs)
    results = (Path(__file__).parents[2] / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    presets = set(preset_names())
    for pair in table.pairs:
        assert set(pair.methods) <= presets
        # The same numbers stand in the document that says how they were made.
        section = results[results.index(pair.command) :]
        for gain in (pair.oracle, *pair.methods.values()):
            assert f"{gain.mean:+.1f} ± {gain.spread:.1f}" in section
