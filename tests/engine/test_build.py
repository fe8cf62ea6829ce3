"""From recipes to segmenters and optimizers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import SGD, Adam, AdamW

from segshift.config import parse
from segshift.data.labels import ClassSet, class_set
from segshift.engine.build import build, build_optimizers, build_segmenter, set_learning_rates
from segshift.engine.recipe import Recipe
from segshift.errors import InputError
from segshift.methods import Method

CLASSES = ClassSet("toy", ("sky", "ground", "box"), ((0, 0, 255), (0, 255, 0), (255, 0, 0)))
ADVENT = {"name": "align", "terms": [{"term": "advent", "base_channels": 4}]}


def recipe(**changes: Any) -> Recipe:
    model = {"backbone": "segshift_tiny", "weights": "none", **changes.pop("model", {})}
    return parse(Recipe, {"name": "test", "model": model, **changes}, "test")


def groups(method: Method, made: Recipe, network: str = "segmenter") -> dict[str, float]:
    """Learning-rate multiplier by parameter name."""
    names = {id(p): name.removeprefix("segmenter.") for name, p in method.named_parameters()}
    optimizer = build_optimizers(method, made)[network]
    return {names[id(p)]: g["multiplier"] for g in optimizer.param_groups for p in g["params"]}


def test_the_longest_prefix_gives_the_multiplier() -> None:
    multipliers = {"backbone": 0.5, "backbone.stage2": 3.0, "backbone.stage2.0.conv1.weight": 7.0}
    made = recipe(optimizers={"segmenter": {"lr_multipliers": multipliers}})
    found = groups(build(made, CLASSES), made)
    assert found["backbone.stem.0.weight"] == 0.5
    assert found["backbone.stage2.0.conv2.weight"] == 3.0
    assert found["backbone.stage2.0.conv1.weight"] == 7.0
    assert found["backbone.stage2.1.conv1.weight"] == 3.0
    assert {factor for name, factor in found.items() if name.startswith("head.")} == {1.0}


def test_prefixes_end_at_dots() -> None:
    """`head` is not the beginning of a parameter called `header.weight`, nor `stage1` of `stage10`."""
    made = recipe(optimizers={"segmenter": {"lr_multipliers": {"backbone.stage": 2.0}}})
    with pytest.raises(InputError, match=r"lr_multipliers\.backbone\.stage: no parameter's name starts so"):
        build_optimizers(build(made, CLASSES), made)


def test_every_parameter_is_in_exactly_one_group() -> None:
    made = recipe(method=ADVENT, model={"auxiliary_head": True})
    method = build(made, CLASSES)
    optimizers = build_optimizers(method, made)
    listed = [id(p) for o in optimizers.values() for g in o.param_groups for p in g["params"]]
    assert sorted(listed) == sorted(id(p) for p in method.parameters() if p.requires_grad)
    assert list(optimizers) == ["segmenter", "advent"]


def test_defaults_are_those_of_the_papers() -> None:
    made = recipe(method=ADVENT)
    method = build(made, CLASSES)
    optimizers = build_optimizers(method, made)
    assert isinstance(optimizers["segmenter"], SGD) and isinstance(optimizers["advent"], Adam)
    found = groups(method, made)
    assert {factor for name, factor in found.items() if name.startswith("head.")} == {10.0}
    assert {factor for name, factor in found.items() if name.startswith("backbone.")} == {1.0}
    group = optimizers["segmenter"].param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (2.5e-4, 0.9, 5e-4)
    group = optimizers["advent"].param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-4, (0.9, 0.99), 0.0)


def test_adversary_serves_all_that_have_no_entry_of_their_own() -> None:
    terms = [{"term": name, "base_channels": 4} for name in ("advent", "output_alignment")]
    made = recipe(
        method={"terms": terms},
        optimizers={"adversary": {"kind": "adamw", "lr": 0.5}, "advent": {"kind": "sgd", "lr": 0.25}},
    )
    optimizers = build_optimizers(build(made, CLASSES), made)
    assert isinstance(optimizers["output_alignment"], AdamW) and isinstance(optimizers["advent"], SGD)
    assert optimizers["output_alignment"].param_groups[0]["lr"] == 0.5
    assert optimizers["advent"].param_groups[0]["lr"] == 0.25
    assert optimizers["segmenter"].param_groups[0]["lr"] == 2.5e-4


def test_rates_follow_schedule_and_multipliers() -> None:
    made = recipe(
        method=ADVENT,
        training={"steps": 100},
        optimizers={
            "segmenter": {"lr": 1.0, "lr_multipliers": {"head": 10, "backbone.stem": 0.1}},
            "adversary": {"lr": 2.0, "schedule": {"kind": "constant", "warmup_steps": 4}},
        },
    )
    method = build(made, CLASSES)
    optimizers = build_optimizers(method, made)
    for step in (0, 1, 50, 99):
        rates = set_learning_rates(optimizers, made, step)
        expected = (1 - step / 100) ** 0.9
        assert rates == pytest.approx({"segmenter": expected, "advent": 2.0 * min(1, (step + 1) / 4)})
        found = {g["multiplier"]: g["lr"] for g in optimizers["segmenter"].param_groups}
        assert found == pytest.approx({1.0: expected, 10.0: 10 * expected, 0.1: 0.1 * expected})


def test_a_key_for_the_auxiliary_head_fits_networks_without_one() -> None:
    made = recipe(optimizers={"segmenter": {"lr_multipliers": {"head": 10, "auxiliary_head": 10}}})
    build_optimizers(build(made, CLASSES), made)


def test_an_optimizer_for_no_network_is_refused() -> None:
    made = recipe(method=ADVENT, optimizers={"advemt": {}})
    with pytest.raises(InputError, match=r"optimizers\.advemt: the method has no such network.*`advent`"):
        build_optimizers(build(made, CLASSES), made)


def test_the_seed_alone_decides_the_start() -> None:
    first, second = (build(recipe(method=ADVENT, seed=3), CLASSES).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build(recipe(method=ADVENT, seed=4), CLASSES).state_dict()
    assert not torch.equal(
        first["segmenter.head.branches.0.weight"], other["segmenter.head.branches.0.weight"]
    )
    # The discriminator's draw must not change the segmenter's.
    plain = build(recipe(seed=3), CLASSES).state_dict()
    assert all(torch.equal(plain[name], first[name]) for name in plain)


def test_a_network_sees_images_in_the_proportions_that_it_was_trained_with() -> None:
    kept = recipe(target={"augmentation": {"resize": [20, 10], "fit": "cover"}})
    assert build_segmenter(kept, CLASSES).config.input_fit == kept.inference.fit == "cover"
    other = recipe(
        target={"augmentation": {"resize": [20, 10], "fit": "cover"}}, evaluation={"fit": "stretch"}
    )
    assert build_segmenter(other, CLASSES).config.input_fit == other.inference.fit == "stretch"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run folder with a segmenter that no fresh one equals."""
    folder = tmp_path_factory.mktemp("start")
    segmenter = build_segmenter(recipe(seed=11, evaluation={"input_size": [20, 10]}), CLASSES)
    for buffer in segmenter.buffers():
        if buffer.is_floating_point():
            buffer.add_(0.25)
    segmenter.save(folder / "model.safetensors")
    yield folder


def test_a_start_is_taken_over_whole(trained: Path) -> None:
    segmenter = build_segmenter(recipe(init_from=str(trained)), CLASSES)
    expected = build_segmenter(recipe(seed=11), CLASSES).state_dict()
    for name, value in segmenter.state_dict().items():
        shift = 0.25 if "running_" in name else 0.0
        assert torch.equal(value, expected[name] + shift), name
    # The new run's settings hold, not those of the start.
    assert segmenter.config.input_size is None


def test_an_additional_auxiliary_head_is_new_and_the_rest_is_the_start(trained: Path) -> None:
    segmenter = build_segmenter(recipe(init_from=str(trained), model={"auxiliary_head": True}), CLASSES)
    plain = build_segmenter(recipe(init_from=str(trained)), CLASSES).state_dict()
    state = segmenter.state_dict()
    assert segmenter.auxiliary_head is not None
    assert {name for name in state if name not in plain} == {
        name for name in state if name.startswith("auxiliary_head.")
    }
    assert all(torch.equal(state[name], plain[name]) for name in plain)


def test_a_start_with_an_auxiliary_head_may_lose_it(trained: Path, tmp_path: Path) -> None:
    with_head = build_segmenter(recipe(init_from=str(trained), model={"auxiliary_head": True}), CLASSES)
    with_head.save(tmp_path / "model.safetensors")
    segmenter = build_segmenter(recipe(init_from=str(tmp_path)), CLASSES)
    assert segmenter.auxiliary_head is None
    assert torch.equal(segmenter.backbone.stem[0].weight, with_head.backbone.stem[0].weight)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (class_set("camvid11"), "was trained on the classes sky, ground, box"),
        (ClassSet("toy", ("ground", "sky", "box"), CLASSES.colors), "this run has ground, sky, box"),
    ],
)
def test_other_classes_are_refused(trained: Path, classes: ClassSet, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        build_segmenter(recipe(init_from=str(trained)), classes)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "model",
    [{"backbone": "mobilenetv3_small_050"}, {"head_dilations": [6, 12]}, {"head_dilations": [1, 2, 3, 4, 5]}],
)
def test_another_network_is_refused(trained: Path, model: dict[str, Any]) -> None:
    made = recipe(init_from=str(trained), model={**model, "output_stride": 16 if "backbone" in model else 8})
    with pytest.raises(InputError, match=r"init_from = .*does not fit") as error:
        build_segmenter(made, CLASSES)
    assert len(str(error.value).splitlines()) == 1


def test_a_backbone_of_the_same_names_and_other_shapes_is_refused(tmp_path: Path) -> None:
    """mobilenetv3 at two widths: every parameter's name is the same, the shapes are not."""
    narrow = {"backbone": "mobilenetv3_small_050", "output_stride": 16}
    build_segmenter(recipe(model=narrow), CLASSES).save(tmp_path / "model.safetensors")
    wide = {"backbone": "mobilenetv3_small_075", "output_stride": 16}
    with pytest.raises(InputError, match="does not fit"):
        build_segmenter(recipe(model=wide, init_from=str(tmp_path)), CLASSES)


def test_a_missing_start_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        build_segmenter(recipe(init_from=str(tmp_path / "nowhere")), CLASSES)
