"""Presets: all of them resolve and run; `extends:` and stages do what they say."""

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml

from segshift.config import parse
from segshift.data.border import Border
from segshift.data.resolve import catalog
from segshift.documents import parse_yaml
from segshift.engine.datasets import resolve_domains
from segshift.engine.presets import load_recipe, preset_names, preset_text, recipe_data
from segshift.engine.recipe import NO_SOURCE, Recipe
from segshift.engine.run import run_recipe
from segshift.engine.smoke import smoke_recipe
from segshift.engine.stages import stage_recipe
from segshift.errors import InputError
from segshift.methods import METHODS, TERMS, parse_method
from segshift.progress import SILENT


@pytest.fixture(scope="module")
def city_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One rendered city for all smoke runs of this file."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("city")
        patch.setenv("SEGSHIFT_CACHE", str(folder))
        yield folder
    assert os.environ.get("SEGSHIFT_CACHE") != str(folder)


@cache
def preset(name: str) -> Recipe:
    return load_recipe(name)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_resolves_and_says_where_it_comes_from(name: str) -> None:
    recipe = preset(name)
    assert recipe.name == name
    assert recipe.description and "\n" not in recipe.description
    assert recipe.provenance is not None and recipe.provenance.paper
    assert recipe.group != "own"
    # The whole of it survives being written and read again.
    assert parse(Recipe, yaml.safe_load(yaml.safe_dump(recipe.model_dump(mode="json"))), name) == recipe


def test_every_method_and_term_has_a_preset() -> None:
    methods = [preset(name).method for name in preset_names()]
    assert {method.get("name", "align") for method in methods} == set(METHODS)
    assert {term["term"] for method in methods for term in method.get("terms", [])} == set(TERMS)


@pytest.mark.parametrize("name", [name for name in preset_names() if name.endswith("_plus_mean_teacher")])
def test_a_method_plus_the_mean_teacher_is_that_methods_preset_and_one_term(name: str) -> None:
    combined, alone = preset(name), preset(name.removesuffix("_plus_mean_teacher"))
    assert combined.method["terms"] == [{"term": "mean_teacher"}, *alone.method["terms"]]
    apart = {"name", "description", "provenance", "method"}
    assert combined.model_dump(exclude=apart) == alone.model_dump(exclude=apart)


def test_the_adversarial_methods_have_such_a_preset() -> None:
    methods = {"clan", "fada", "advent", "local_alignment", "adaptpatch"}
    assert {f"{one}_plus_mean_teacher" for one in methods} <= set(preset_names())


def test_daformers_recipes_have_the_published_numbers() -> None:
    for name in ("daformer_gta5_cityscapes_mitb5", "mic_synthia_cityscapes_resnet101"):
        recipe = preset(name)
        optimizer = recipe.optimizers["segmenter"]
        assert (optimizer.kind, optimizer.lr, optimizer.weight_decay) == ("adamw", 6e-5, 0.01)
        assert optimizer.lr_multipliers["head"] == 10
        rates = [optimizer.schedule.at(6e-5, step, recipe.training.steps) for step in (749, 1499, 20_000)]
        assert rates == pytest.approx([3e-5 * (1 - 749 / 40_000), 6e-5 * (1 - 1499 / 40_000), 3e-5])
        assert (recipe.training.steps, recipe.training.batch_size) == (40_000, 2)
        sampling = recipe.source.sampling
        assert (sampling.temperature, sampling.needed_pixels, sampling.crop_pixels) == (0.01, 3000, 1500)
        assert sampling.crop_tries == 10
        # 15 and 120 rows at half the size of Cityscapes.
        border = recipe.target.ignored_border
        assert border == Border(top=30, bottom=240)
        assert recipe.target.augmentation.crop == (512, 512)
        terms = {term["term"]: term for term in recipe.method["terms"]}
        assert (terms["mean_teacher"]["ema_decay"], terms["mean_teacher"]["share_of"]) == (0.999, "batch")
        assert terms["feature_distance"]["weight"] == 0.005
        masked = terms.get("masked_consistency")
        assert (masked is None) == name.startswith("daformer")
        if masked is not None:
            assert (masked["block_px"], masked["masked_share"], masked["weight"]) == (64, 0.7, 1)


def test_hrdas_recipes_have_the_published_numbers() -> None:
    for name in ("hrda_gta5_cityscapes_mitb5", "mic_hrda_synthia_cityscapes_mitb5"):
        recipe = preset(name)
        look = recipe.model.multi_resolution
        assert look is not None
        assert (look.shrink, look.detail, look.attention, look.loss_weight) == (
            2,
            (512, 512),
            "per_class",
            0.1,
        )
        assert recipe.target.augmentation.resize == (2048, 1024)
        assert recipe.source.augmentation.resize == (2560, 1440 if "gta5" in name else 1520)
        assert recipe.source.augmentation.crop == recipe.target.augmentation.crop == (1024, 1024)
        assert recipe.source.sampling.crop_pixels == 2 * 3000
        assert recipe.target.ignored_border == Border(top=30, bottom=240, left=30, right=30)
        assert (recipe.inference.window, recipe.inference.stride) == ((1024, 1024), (512, 512))
        assert recipe.optimizers["segmenter"].lr_multipliers["multi_resolution"] == 10
        terms = [term["term"] for term in recipe.method["terms"]]
        masked = ["masked_consistency"] if name.startswith("mic") else []
        assert terms == ["mean_teacher", "feature_distance", *masked]


def test_foundation_recipes_differ_by_what_their_names_say() -> None:
    base, frozen, plus, dinov3 = (
        preset(name) for name in ("vfm_uda", "vfm_uda_frozen", "vfm_uda_plus", "vfm_uda_dinov3")
    )
    apart = {"name", "description", "provenance"}
    assert frozen.model.backbone_training == "frozen"
    same = frozen.model.model_copy(update={"backbone_training": "all"})
    assert frozen.model_copy(update={"model": same}).model_dump(exclude=apart) == base.model_dump(
        exclude=apart
    )
    assert plus.optimizers["segmenter"].layer_decay == 0.9
    assert dinov3.model.backbone == "vit_small_patch16_dinov3"
    for recipe, patch_px in ((base, 14), (plus, 14), (dinov3, 16)):
        masked = recipe.method["terms"][1]
        assert (masked["mask"], masked["block_px"]) == ("tokens", patch_px)
        crop = recipe.target.augmentation.crop
        assert crop is not None and all(side % patch_px == 0 for side in crop)


def test_the_small_details_have_the_papers_proportions() -> None:
    """Details of half the crop's sides, and DAFormer's list of terms with MIC's on top."""
    for name, lower in (("hrda", "daformer"), ("mic_hrda", "hrda")):
        recipe = preset(name)
        crop = recipe.target.augmentation.crop
        assert crop is not None and recipe.model.multi_resolution is not None
        assert recipe.model.multi_resolution.detail == (crop[0] // 2, crop[1] // 2)
        terms = preset(lower).method["terms"]
        assert recipe.method["terms"][: len(terms)] == terms


def test_only_the_oracle_trains_on_target_labels() -> None:
    assert [name for name in preset_names() if preset(name).oracle] == ["oracle"]


def with_tiny_networks(recipe: Recipe) -> Recipe:
    """The papers' networks take a minute for two steps; what the recipes say is the same with tiny ones."""
    data = recipe.model_dump(mode="json")
    tiny = "test_vit" if recipe.model.backbone.startswith("vit_") else "segshift_tiny"
    data["model"] |= {"backbone": tiny, "head": "deeplab_v2", "output_stride": None}
    for method in [data["method"], *(stage["changes"].get("method", {}) for stage in data["stages"])]:
        if method.get("name") == "cyclegan":
            method |= {"generator": {"base_channels": 8, "blocks": 1}, "discriminator_channels": 8}
        if method.get("name") == "lsd":
            method |= {"generator_channels": 8, "discriminator_channels": 8, "discriminator_blocks": 1}
    return parse(Recipe, data, recipe.name)


# Tiny recipes that have run in this process: a method's rows for other data sets or sizes are the same run.
_RAN: set[str] = set()


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_runs(name: str, tmp_path: Path, city_cache: Path) -> None:
    """Two tiny steps per stage; tools/preset_smoke.py does the same with the papers' own networks."""
    recipe = preset(name)
    smoke = smoke_recipe(recipe)
    if not recipe.group.startswith("small") or recipe.model.backbone.startswith("vit_"):
        smoke = with_tiny_networks(smoke)
    tiny = smoke.model_dump_json(exclude={"name", "description", "group", "provenance", "classes"})
    if tiny in _RAN:
        return
    _RAN.add(tiny)
    threads = torch.get_num_threads()
    try:
        results = run_recipe(smoke, tmp_path / "run", SILENT)
    finally:
        torch.set_num_threads(threads)
    last = stage_recipe(recipe, len(recipe.stages) - 1) if recipe.stages else recipe
    assert results["steps"] == min(2, last.training.steps)
    assert (results["evaluation"] is None) == (not parse_method(last.method).needs_segmenter)
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == results


def test_a_smoke_recipe_keeps_the_method_but_for_its_sizes() -> None:
    for name in preset_names():
        recipe = preset(name)
        smoke = smoke_recipe(recipe)
        small = re.sub("^vit_(base|large)_patch14", "vit_small_patch14", recipe.model.backbone)
        assert smoke.model.backbone == small
        before, after = (parse_method(one.method).with_defaults().get("terms", []) for one in (recipe, smoke))
        for old, new in zip(before, after, strict=True):
            changed = {key for key in new if new[key] != old.get(key)}
            assert changed <= {
                "start_step",
                "self_training_start_step",
                "patch_px",
                "modes",
                "block_px",
                "channels",
                "weights",
            }


@pytest.mark.parametrize("name", preset_names())
def test_papers_presets_name_data_sets_of_the_catalogue(name: str) -> None:
    recipe = preset(name)
    known = {entry.name for entry in catalog()}
    for domain in (recipe.source, recipe.target):
        assert domain.dataset is None or domain.dataset in known | {NO_SOURCE}


def test_a_missing_data_root_says_where_to_get_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEGSHIFT_DATA", raising=False)
    with pytest.raises(InputError, match=r"cityscapes:PATH") as error:
        resolve_domains(load_recipe("clan_gta5_cityscapes_resnet101"))
    assert "leftImg8bit/" in str(error.value) and "\n" not in str(error.value)


def test_lsds_features_and_classifier_have_one_rate() -> None:
    scale = [preset(name) for name in preset_names() if name.endswith("_fcn8s")]
    found = [one for one in scale if one.provenance is not None and one.provenance.stated == "lsd"]
    assert len(found) >= 14
    for recipe in found:
        segmenter = recipe.optimizers["segmenter"]
        assert (segmenter.lr, segmenter.lr_multipliers["head"]) == (1e-5, 1), recipe.name


# 2.5e-4 * (1 - step / 250 000)^0.9 at 75 000 and 149 999 (60 000 and 119 999): AdaptSegNet's and ADVENT's
# public codes stop long before their decay ends. CLAN's paper decays over its own 100 000 steps.
DECAYS = {
    "adaptsegnet": (150_000, 1.814e-4, 1.096e-4),
    "adaptsegnet_single": (150_000, 1.814e-4, 1.096e-4),
    "feature_alignment": (150_000, 1.814e-4, 1.096e-4),
    "screened_self_training": (150_000, 1.814e-4, 1.096e-4),
    "source_only": (150_000, 1.814e-4, 1.096e-4),
    "adaptpatch": (150_000, 1.814e-4, 1.096e-4),
    "adaptpatch_fusion": (150_000, 1.814e-4, 1.096e-4),
    "pixel": (150_000, 1.814e-4, 1.096e-4),
    "local_alignment": (150_000, 1.814e-4, 1.096e-4),
    "advent": (120_000, 1.953e-4, 1.388e-4),
    "minent": (120_000, 1.953e-4, 1.388e-4),
    "clan": (100_000, 1.340e-4, 7.906e-9),
}


@pytest.mark.parametrize("system", DECAYS)
def test_the_learning_rate_at_midpoint_and_end_is_the_published_codes(system: str) -> None:
    recipe = load_recipe(f"{system}_gta5_cityscapes_resnet101")
    steps, middle, end = DECAYS[system]
    last = stage_recipe(recipe, len(recipe.stages) - 1) if recipe.stages else recipe
    assert last.training.steps == steps
    networks = ["segmenter"] if system == "clan" else ["segmenter", "adversary"]
    for network in networks:
        optimizer = last.optimizers[network]
        at = [optimizer.schedule.at(optimizer.lr, step, steps) for step in (steps // 2, steps - 1)]
        scale = optimizer.lr / 2.5e-4
        assert at == pytest.approx([middle * scale, end * scale], rel=1e-3)


def test_a_translator_decays_over_its_own_steps() -> None:
    recipe = load_recipe("pixel_gta5_cityscapes_resnet101")
    translator = stage_recipe(recipe, 0)
    schedule = translator.optimizers["adversary"].schedule
    rates = [schedule.at(2e-4, step, translator.training.steps) for step in (0, 99_999, 150_000, 199_999)]
    assert rates == pytest.approx([2e-4, 2e-4, 1e-4, 2e-9])


def test_names_that_begin_with_an_underscore_are_only_extended() -> None:
    assert preset_names() == sorted(preset_names())
    assert not [name for name in preset_names() if name.startswith("_")]
    assert "source_only" in preset_names()


def test_the_text_is_the_file_with_its_comments() -> None:
    text = preset_text("advent")
    assert text.startswith("#")
    assert parse_yaml(text, "advent")["name"] == "advent"


@pytest.mark.parametrize(("name", "meant"), [("advnt", "advent"), ("souce_only", "source_only")])
def test_an_unknown_preset_is_answered_with_the_one_meant(name: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' is neither a preset nor a file; did you mean `{meant}`"):
        load_recipe(name)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_extends_a_preset(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml", "extends: advent\ntraining: {steps: 7}\nmodel: {output_stride: 8}\n")
    mine, base = load_recipe(path), load_recipe("advent")
    assert mine.training.steps == 7 and mine.training.batch_size == base.training.batch_size
    assert mine.model.output_stride == 8 and mine.model.backbone == base.model.backbone
    assert mine.method == base.method


def test_a_file_extends_a_file_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "base" / "shared.yaml", "extends: source_only\ntraining: {steps: 5, batch_size: 3}\n")
    path = write(tmp_path / "mine.yaml", "extends: base/shared.yaml\ntraining: {steps: 9}\nname: mine\n")
    mine = load_recipe(path)
    assert (mine.training.steps, mine.training.batch_size, mine.name) == (9, 3, "mine")
    absolute = write(tmp_path / "other" / "absolute.yaml", f"extends: {tmp_path}/base/shared.yaml\n")
    assert load_recipe(absolute).training.steps == 5


OWN_SOURCE = "source: {dataset: own.yaml}\n"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (OWN_SOURCE, None),
        (OWN_SOURCE + "target: {augmentation: {flip: false}}\n", None),
        (OWN_SOURCE + "target: {dataset: photos.yaml}\n", "photos.yaml"),
        (OWN_SOURCE + "target: {dataset: 'city:overcast'}\n", "city:overcast"),
        ("source: {dataset: 'city:game,count=4'}\n", "city:overcast"),
        ("training: {steps: 1}\n", "city:overcast"),
    ],
)
def test_the_presets_city_is_no_target_of_ones_own_source(
    tmp_path: Path, text: str, target: str | None
) -> None:
    path = write(tmp_path / "mine.yaml", f"extends: advent\n{text}")
    recipe, preset = load_recipe(path), load_recipe("advent")
    assert (
        recipe.target.dataset == target and recipe.target.augmentation.crop == preset.target.augmentation.crop
    )
    # What one of the own files says or keeps is meant.
    child = write(tmp_path / "child.yaml", "extends: mine.yaml\nsource: {dataset: other.yaml}\n")
    assert load_recipe(child).target.dataset == target


def test_assigning_a_source_to_a_preset_leaves_its_city_out_too() -> None:
    assert load_recipe("advent", ["source.dataset=own.yaml"]).target.dataset is None
    both = load_recipe("advent", ["source.dataset=own.yaml", "target.dataset=city:dusk"])
    assert both.target.dataset == "city:dusk"
    assert load_recipe("advent", ["source.dataset=city:game"]).target.dataset == "city:overcast"
    assert (
        load_recipe("clan_gta5_cityscapes_resnet101", ["source.dataset=gta5:x"]).target.dataset
        == "cityscapes"
    )


def test_a_recipe_without_a_name_is_called_like_its_file(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path / "mine.yaml", "seed: 3\n")).name == "mine"


def test_assignments_win(tmp_path: Path) -> None:
    recipe = load_recipe("advent", ["method.terms.0.weight=0.5", "training.steps=3"])
    assert recipe.method["terms"][0]["weight"] == 0.5 and recipe.training.steps == 3
    assert load_recipe("advent").method["terms"][0]["weight"] == 0.001


@pytest.mark.parametrize(
    "texts",
    [
        {"mine.yaml": "extends: mine.yaml"},
        {"mine.yaml": "extends: b.yaml", "b.yaml": "extends: mine.yaml"},
        {"mine.yaml": "extends: b.yaml", "b.yaml": "extends: c.yaml", "c.yaml": "extends: b.yaml"},
        {"mine.yaml": "extends: sub/b.yaml", "sub/b.yaml": "extends: ../mine.yaml"},
    ],
)
def test_a_circle_is_refused(tmp_path: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        write(tmp_path / name, text)
    with pytest.raises(InputError, match="runs in a circle") as error:
        load_recipe(tmp_path / "mine.yaml")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: advnt", "did you mean `advent`"),
        ("extends: gone.yaml", r"gone\.yaml: no such file"),
        ("extends: {advent: 1}", "give a preset name or YAML path, or a list"),
        ("trainning: {steps: 1}", "unknown key `trainning`; did you mean `training`"),
        ("training: {stepps: 1}", r"unknown key `training\.stepps`; did you mean `steps`"),
        ("evaluation: {mode: sliding}", "sliding needs `window"),
        ("stages: [{name: a}, {name: a}]", "two stages have the same name"),
        ("stages: [{name: A/B}]", r"stages\.0\.name"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        load_recipe(write(tmp_path / "mine.yaml", text))
    assert len(str(error.value).splitlines()) == 1


def test_each_file_is_resolved_once_however_often_it_is_named(tmp_path: Path) -> None:
    """Fourteen files, each named twice by the next, would be 16384 readings."""
    write(tmp_path / "f0.yaml", "training: {steps: 7}\n")
    for i in range(1, 30):
        write(tmp_path / f"f{i}.yaml", f"extends: [f{i - 1}.yaml, f{i - 1}.yaml]\n")
    assert load_recipe(tmp_path / "f29.yaml").training.steps == 7
    for i in range(30, 60):
        write(tmp_path / f"f{i}.yaml", f"extends: f{i - 1}.yaml\n")
    with pytest.raises(InputError, match="`extends` goes through more than 40 files"):
        load_recipe(tmp_path / "f59.yaml")


def test_a_mapping_extends_a_preset() -> None:
    data = recipe_data({"extends": "source_only", "training": {"steps": 1}}, "here")
    assert data["training"]["steps"] == 1 and data["model"]["backbone"] == "tf_efficientnet_lite0"
    assert "extends" not in data


def test_a_preset_that_extends_another_row_does_not_report_its_numbers() -> None:
    """LRENT and MRKLD extend CBST; local alignment's tables 1 and 2 cite their own rows."""
    for name, gta5, synthia in [("lrent", 45.9, 42.7), ("mrkld", 47.1, 43.8)]:
        origin = load_recipe(name).provenance
        assert origin is not None
        wanted = {"mIoU_gta5_cityscapes_resnet101": gta5, "mIoU16_synthia_cityscapes_resnet101": synthia}
        assert origin.reported == wanted


def test_a_stage_is_the_recipe_with_its_changes() -> None:
    stages = [
        {"name": "source"},
        {
            "name": "adapt",
            "changes": {"training": {"steps": 3}, "method": {"name": "align", "terms": [{"term": "minent"}]}},
        },
    ]
    recipe = parse(Recipe, {"name": "two", "seed": 5, "training": {"batch_size": 3}, "stages": stages}, "two")
    first, second = stage_recipe(recipe, 0), stage_recipe(recipe, 1)
    assert first.training.steps == recipe.training.steps and first.stages == []
    assert (second.training.steps, second.training.batch_size, second.seed) == (3, 3, 5)
    assert second.method["terms"] == [{"term": "minent"}] and recipe.method == {"name": "align"}


def test_a_stage_with_an_unknown_key_is_named() -> None:
    stages = [{"name": "first", "changes": {"trainnig": {}}}]
    recipe = parse(Recipe, {"name": "one", "stages": stages}, "one")
    with pytest.raises(InputError, match="one, stage first: unknown key `trainnig`; did you mean `training`"):
        stage_recipe(recipe, 0)


def test_a_smoke_recipe_shrinks_its_stages_too() -> None:
    stages = [{"name": "a", "changes": {"training": {"steps": 900}, "source": {"dataset": "city:day"}}}]
    smoke = smoke_recipe(parse(Recipe, {"name": "staged", "stages": stages}, "staged"))
    staged = stage_recipe(smoke, 0)
    assert staged.training.steps == 2 and staged.source.dataset == smoke.source.dataset


def test_a_trial_takes_none_of_the_recipes_own_images() -> None:
    own = ["source.dataset=own.yaml", "source.subset.list=own.txt", "target.subset.every=10"]
    trial = smoke_recipe(load_recipe("source_only", own))
    assert trial.source.dataset == "city:game,size=64x48,count=6,val=2"
    assert trial.source.subset is None and trial.target.subset is None
