"""What the papers state, item by item, against every preset: a value holds or is declared as a deviation."""

import sys
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import Field, model_validator
from torch import nn

from segshift.config import Strict, parse
from segshift.data.labels import ClassSet
from segshift.documents import read_yaml
from segshift.engine.presets import load_recipe, preset_names
from segshift.engine.recipe import Provenance, Recipe
from segshift.engine.stages import stage_recipe
from segshift.methods import parse_method, term_class
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_config import SegmenterConfig

LISTS = Path(str(resources.files("segshift.presets"))) / "stated"
# Of these papers nothing but a table's row, cited by the five, was at hand.
NOT_AT_HAND = (
    "Zou et al.", "Tranheden et al.", "Zhu et al.", "Hoffman et al.", "Li et al.", "Hoyer et al.",
    "Wang et al.", "Xie et al.",
)  # fmt: skip
SMALL = "small (laptop)"
GIVEN = "given"
MISSING = "missing"
CLASSES = 19


class Where(Strict):
    """To which presets an item applies: names or patterns."""

    presets: list[str] = Field(default_factory=lambda: ["*"])

    def applies(self, name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in self.presets)


class Stated(Where):
    """One thing that a paper states: `values` by the recipe's keys, or what our code always does instead."""

    place: str = Field(min_length=1)
    says: str = Field(min_length=1)
    values: dict[str, Any] = Field(default_factory=dict)
    ours: str = ""

    @model_validator(mode="after")
    def _can_be_checked(self) -> Self:
        if bool(self.values) == bool(self.ours):
            raise ValueError("give either values or ours")
        return self


class StatedList(Strict):
    """One paper's list; `open` names what it leaves open, where a preset says what it chose."""

    paper: str
    stated: dict[str, Stated]
    open: dict[str, Where]


@cache
def stated_list(name: str) -> StatedList:
    return parse(StatedList, read_yaml(LISTS / f"{name}.yaml"), name)


@cache
def stages_of(name: str) -> dict[str, dict[str, Any]]:
    """The training stages of a preset that train a segmenter, every default filled in."""
    recipe = recipe_of(name)
    stages = {"": recipe}
    if recipe.stages:
        stages = {
            stage.name: stage_recipe(recipe, index)
            for index, stage in enumerate(recipe.stages)
            if stage.kind == "train"
        }
    return {
        key: {**stage.model_dump(mode="json"), "method": parse_method(stage.method).with_defaults()}
        for key, stage in stages.items()
        if parse_method(stage.method).needs_segmenter
    }


def found(name: str, path: str) -> list[Any]:
    """The values that a preset's stages have at a path; one that names a stage looks there alone."""
    stages = stages_of(name)
    first, _, rest = path.partition(".")
    if first == "stages" and "" not in stages:
        stage, _, path = rest.partition(".")
        return [reached(stages.get(stage, {}), path)]
    if first == "stages":
        # A preset of one stage: what is said of a stage's augmentation is said of it; its steps are its own.
        path = rest.partition(".")[2]
    values = [reached(stage, path) for stage in stages.values()]
    # A term stands in some stages only; an optimizer's rate for a discriminator in those that have one.
    return [value for value in values if value != MISSING] or [MISSING]


def reached(data: Any, path: str) -> Any:
    if path.startswith("discriminator."):
        return convolutions(data, path.partition(".")[2])
    for key in path.split("."):
        if isinstance(data, list):
            # A term by its kind, or by its place where two are of one kind.
            at = [item for index, item in enumerate(data) if key in (item.get("term"), str(index))]
            data = at[0] if at else MISSING
        elif isinstance(data, Mapping):
            data = data.get(key, None if "lr_multipliers" in path else MISSING)
        else:
            return MISSING
    return data


def convolutions(data: Mapping[str, Any], term: str) -> Any:
    """[channels, kernel, stride] of the convolutions of a term's discriminator; 2K: twice the classes."""
    config = next((one for one in data.get("method", {}).get("terms", []) if one["term"] == term), None)
    return MISSING if config is None else layers_of(term, tuple(sorted(config.items())))


def layers_of(term: str, config: tuple[tuple[str, Any], ...]) -> list[list[Any]]:
    kind = term_class(term)
    settings = {**dict(config), **({"level": "main"} if "level" in dict(config) else {})}
    adversary = kind(parse(kind.Config, settings, term), segmenter()).adversary
    assert adversary is not None
    channels = {2 * CLASSES: "2K"}
    return [
        [channels.get(layer.out_channels, layer.out_channels), layer.kernel_size[0], layer.stride[0]]
        for layer in adversary.modules()
        if isinstance(layer, nn.Conv2d)
    ]


@cache
def segmenter() -> Segmenter:
    names = tuple(f"class {index}" for index in range(CLASSES))
    classes = ClassSet("nineteen", names, tuple((index, 0, 0) for index in range(CLASSES)))
    model = {"backbone": "segshift_tiny", "weights": "none", "classifiers": 2, "output_stride": 8}
    return Segmenter(parse(SegmenterConfig, model, "model"), classes)


def same(value: Any, wanted: Any) -> bool:
    if wanted == GIVEN:
        return value not in (None, MISSING, [])
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(same(value.get(key), one) for key, one in wanted.items())
    return bool(value == wanted)


def differing(name: str, item: Stated) -> dict[str, Any]:
    """What a preset has in the place of an item's values, where it has something else."""
    values = {path: found(name, path) for path in item.values}
    return {path: has for path, has in values.items() if not all(same(one, item.values[path]) for one in has)}


@cache
def recipe_of(name: str) -> Recipe:
    return load_recipe(name)


def provenance(name: str) -> Provenance:
    origin = recipe_of(name).provenance
    assert origin is not None
    return origin


def listed() -> list[str]:
    return [name for name in preset_names() if provenance(name).stated]


@pytest.mark.parametrize("name", listed())
def test_what_the_paper_states_holds_or_is_declared(name: str) -> None:
    origin = provenance(name)
    for key, item in stated_list(origin.stated).stated.items():
        if not item.applies(name) or key in origin.deviations:
            continue
        assert not item.ours, f"{name}: {key}: {item.place} says {item.says}; declare: {item.ours}"
        assert not differing(name, item), f"{name}: {key}: {item.place} says {item.says}"


@pytest.mark.parametrize("name", [name for name in listed() if recipe_of(name).group != SMALL])
def test_what_the_paper_leaves_open_is_declared_and_nothing_else(name: str) -> None:
    origin = provenance(name)
    paper = stated_list(origin.stated)
    missing = [
        key for key, where in paper.open.items() if where.applies(name) and key not in origin.deviations
    ]
    assert not missing, f"{name} does not say what it chose for {missing}"
    for key in origin.deviations:
        if key in paper.stated:
            item = paper.stated[key]
            assert item.applies(name), f"{name}: {key} is no matter of this preset"
            assert item.ours or differing(name, item), f"{name}: {key} is declared, but holds"
        else:
            assert key in paper.open and paper.open[key].applies(name), f"{name}: nothing is called {key}"


def test_every_preset_of_a_paper_at_hand_names_its_list() -> None:
    unlisted = {name: provenance(name).paper for name in preset_names() if name not in listed()}
    elsewhere = {"oracle", "source_only"}  # of all papers and none
    assert {name for name, paper in unlisted.items() if not paper.startswith(NOT_AT_HAND)} == elsewhere


def test_every_item_and_pattern_of_a_list_is_used() -> None:
    names = {path.stem for path in LISTS.glob("*.yaml")}
    assert names == {provenance(name).stated for name in listed()}
    for name in names:
        presets = [preset for preset in listed() if provenance(preset).stated == name]
        items: dict[str, Where] = {**stated_list(name).stated, **stated_list(name).open}
        for key, item in items.items():
            for pattern in item.presets:
                assert any(fnmatch(preset, pattern) for preset in presets), f"{name}: {key}: {pattern}"


@pytest.mark.parametrize(
    ("name", "item", "change"),
    [
        ("clan_gta5_cityscapes_resnet101", "crop", "source.augmentation.crop=[1280,720]"),
        ("clan_gta5_cityscapes_resnet101", "adversary_optimizer", "optimizers.adversary.schedule.kind=poly"),
        ("clan_gta5_cityscapes_resnet101", "discriminator", "method.terms.0.base_channels=32"),
        ("clan_synthia_cityscapes_fcn8s", "classifiers", "model.classifiers=1"),
        ("local_alignment_gta5_cityscapes_resnet101", "batch_norm", "model.batch_norm=batch"),
        ("local_alignment_gta5_cityscapes_resnet101", "verdict", "method.terms.0.verdict=windows"),
        ("local_alignment_synthia_cityscapes_resnet101", "classes_synthia", "classes=cityscapes13"),
        ("adaptsegnet_gta5_cityscapes_resnet101", "levels", "method.terms.1.weight=0.001"),
        ("adaptsegnet_gta5_cityscapes_resnet101", "decay", "optimizers.segmenter.schedule.max_steps=150000"),
        ("adaptpatch_gta5_cityscapes_resnet101", "start", "method.terms.0.start_step=0"),
        ("adaptpatch_gta5_cityscapes_resnet101", "data", "source.subset={fraction: 0.5}"),
        ("pixel_gta5_cityscapes_resnet101", "translated_images", "stages.2.changes.source.also=[]"),
        ("lsd_gta5_cityscapes_fcn8s", "validation_gta5", "source.subset.fraction=0.9"),
        ("lsd_640x320_synthia_cityscapes_fcn8s", "crop_640x320", "evaluation.input_size=[1024,512]"),
        ("fada_gta5_cityscapes_resnet101", "batch_size", "training.batch_size=2"),
        ("fada_gta5_cityscapes_resnet101", "stages", "stages.1.changes.training.steps=62500"),
        ("fada_gta5_cityscapes_resnet101", "multi_scale", "evaluation.scales=[0.7,1,1.3]"),
        ("fada_gta5_cityscapes_resnet101", "augmentation", "target.augmentation.color_jitter=null"),
    ],
)
def test_every_kind_of_value_that_is_changed_is_found(
    name: str, item: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = stated_list(provenance(name).stated).stated[item]
    assert stated.applies(name) and differing(name, stated) == {}
    here = sys.modules[__name__]
    monkeypatch.setattr(here, "recipe_of", lambda preset: load_recipe(preset, [change]))
    monkeypatch.setattr(here, "stages_of", stages_of.__wrapped__)
    assert differing(name, stated) != {}


def test_a_value_that_is_changed_and_not_declared_is_found() -> None:
    """The check can fail: CLAN's crop is the paper's, and the public code's preset is not."""
    crop = stated_list("clan").stated["crop"]
    assert differing("clan_gta5_cityscapes_resnet101", crop) == {}
    assert differing("clan_public_code_gta5_cityscapes_resnet101", crop) == {
        "source.augmentation.crop": [None],
        "target.augmentation.crop": [None],
    }
    discriminator = stated_list("fada").stated["discriminator"]
    assert differing("fada_gta5_cityscapes_resnet101", discriminator) == {}
    assert differing("fada", discriminator) != {}
