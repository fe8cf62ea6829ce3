"""What follows from a diagnosis, and from what was measured before."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from segshift.analysis.diagnosis.confidence import confidence_drop
from segshift.analysis.diagnosis.measured import Gain, MeasuredPair, Measurements
from segshift.analysis.diagnosis.recommendation import Placement, Recommendation, recommend, verdict
from segshift.analysis.diagnosis.separability import Separability


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
    # It is named beside it, where it gained surely.
    assert partly.best_of_pairs() == {"a → b": "mean_teacher"}
    assert "another: mean_teacher +3.0 ± 1.0 on a → b" in words(partly.sentences())
    told = errors(0.49, 0.46, 0.2, 0.01)
    advice = recommend(told, None, None, [], [], False, table=partly)
    assert advice.presets == ["advent", "mean_teacher", "local_alignment"]


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
