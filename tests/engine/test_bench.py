"""`segshift bench`: steps beside plain ones of the same network, on rendered images."""

import pytest

from segshift.engine.bench import BenchSettings, StepCost, bench
from segshift.engine.presets import load_recipe
from segshift.errors import InputError
from segshift.progress import SILENT
from segshift.sizes import WidthHeight

TINY = ["model.backbone=segshift_tiny", "model.output_stride=8"]
SETTINGS = BenchSettings(WidthHeight((64, 48)), batch_size=1, rounds=2)


def measured(name: str, *changes: str) -> StepCost:
    (cost,) = bench([load_recipe(name, [*TINY, *changes])], SETTINGS, SILENT)
    return cost


def test_plain_training_costs_what_plain_training_costs() -> None:
    cost = measured("source_only")
    assert cost.flops == cost.plain_flops > 0 and cost.flop_factor == 1
    assert cost.size == (64, 48) and cost.batch_size == 1
    assert len(cost.seconds) == len(cost.plain_seconds) == 2 and min(cost.seconds) > 0


def test_a_target_batch_and_an_adversary_cost_more_than_one_pass_more() -> None:
    minent, advent = measured("minent"), measured("advent")
    # Two passes of one network, forward and backward.
    assert minent.flops == 2 * minent.plain_flops
    assert advent.flops > 2 * advent.plain_flops == minent.flops
    assert advent.parameters > minent.parameters


def test_terms_that_wake_up_late_are_awake() -> None:
    late = measured("advent", "method.terms.0.start_step=500")
    assert late.flops == measured("advent").flops


def test_a_method_without_source_images_is_set_beside_training_with_them() -> None:
    cost = measured("adapt_tent")
    assert cost.plain_flops == measured("source_only").flops
    # One pass of the target, and the original's scores are none of it.
    assert 0 < cost.flops <= cost.plain_flops


def test_a_recipe_without_steps_is_refused() -> None:
    with pytest.raises(InputError, match="none of these recipes takes a step"):
        bench([load_recipe("adabn")], SETTINGS, SILENT)


def test_the_median_of_ratios_and_the_numbers_in_words() -> None:
    cost = StepCost("x", WidthHeight((2, 1)), 3, 4, (3.0, 8.0, 4.0), (1.0, 2.0, 4.0), 10, 5, None)
    assert cost.step_s == 4.0 and cost.time_factor == 3.0 and cost.flop_factor == 2.0
    assert cost.to_dict()["size"] == [2, 1] and cost.to_dict()["time_factor"] == 3.0
