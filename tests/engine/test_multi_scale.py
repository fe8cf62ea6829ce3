"""A recipe's multi-scale test is that of `segshift.evaluation`."""

from pathlib import Path

import pytest

from segshift.data.dataset import SegmentationDataset
from segshift.data.resolve import resolve
from segshift.engine.fingerprint import is_current
from segshift.errors import InputError
from segshift.evaluation import Inference, evaluate
from segshift.models.loading import load
from tests.engine.recipes import toy_recipe
from tests.engine.runs import run


def test_scales_and_flip_are_those_of_evaluate(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    settings = {"input_size": [40, 32], "scales": [0.7, 1.0, 1.3], "flip": True}
    recipe = toy_recipe(toy_source, toy_target, training={"steps": 3}, evaluation=settings)
    results = run(recipe, tmp_path / "run")
    split = resolve(str(toy_target), "val")
    dataset = SegmentationDataset(split, split.classes)
    segmenter = load(tmp_path / "run")
    expected = evaluate(segmenter, dataset, Inference(input_size=(40, 32), scales=(0.7, 1.0, 1.3), flip=True))
    assert results["confusion"] == expected.confusion.tolist()
    plain = evaluate(segmenter, dataset, Inference(input_size=(40, 32)))
    assert results["confusion"] != plain.confusion.tolist()
    # Judged anew when only the way of judging changes.
    single = toy_recipe(toy_source, toy_target, training={"steps": 3}, evaluation={"input_size": [40, 32]})
    assert run(single, tmp_path / "run")["confusion"] == plain.confusion.tolist()


@pytest.mark.parametrize("scales", [[], [0], [-1.0], [float("inf")], "0.7"])
def test_scales_that_are_none_are_one_line(toy_source: Path, scales: object) -> None:
    with pytest.raises(InputError, match="scales") as error:
        toy_recipe(toy_source, None, evaluation={"scales": scales})
    assert len(str(error.value).splitlines()) == 1


def test_older_files_say_mode(toy_source: Path) -> None:
    """`mode: whole` beside a window meant whole images, and results of then are those of now."""
    whole, sliding = {"mode": "whole", "window": [32, 24]}, {"mode": "sliding", "window": [32, 24]}
    recipes = [
        toy_recipe(toy_source, None, evaluation=settings)
        for settings in (whole, sliding, {}, {"window": [32, 24]})
    ]
    inferences = [recipe.inference for recipe in recipes]
    assert (
        inferences[0]
        == inferences[2]
        == Inference(input_size=inferences[0].input_size, fit=inferences[0].fit)
    )
    assert inferences[1] == inferences[3] and inferences[1].window == (32, 24)
    assert "mode" not in recipes[1].evaluation.model_dump()
    old = {**recipes[1].evaluation.model_dump(mode="json"), "mode": "sliding"}
    del old["stride"]
    assert is_current({"evaluation_settings": old}, recipes[3])
    assert not is_current({"evaluation_settings": old}, recipes[2])


def test_a_recipe_may_ask_for_the_images_own_size(toy_source: Path, toy_target: Path) -> None:
    plain = toy_recipe(toy_source, toy_target, target={"augmentation": {"resize": [24, 16]}})
    native = toy_recipe(
        toy_source,
        toy_target,
        target={"augmentation": {"resize": [24, 16]}},
        evaluation={"input_size": "native", "window": [32, 24], "stride": [16, 12]},
    )
    assert plain.inference_size() == (24, 16) and native.inference_size() is None
    assert native.inference.stride == (16, 12)
