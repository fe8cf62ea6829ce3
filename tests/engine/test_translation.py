"""A translated copy of a data set: every pixel, every label, interruptions, and the stage of a recipe."""

import dataclasses
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import segshift.engine.translation as translation
from segshift.config import parse
from segshift.data.check import check
from segshift.data.images import read_image
from segshift.data.resolve import resolve
from segshift.data.spec import Split
from segshift.engine.translation import run_translate_stage, translate_split
from segshift.errors import InputError, StoppedError
from segshift.models.translators import ResnetGenerator, TranslatorConfig, load_translator, save_translator
from segshift.progress import SILENT
from tests.conftest import write_toy_dataset
from tests.engine.recipes import toy_recipe
from tests.engine.runs import run

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("translator")
    save_translator(
        folder / "translator.safetensors", ResnetGenerator(TranslatorConfig(base_channels=2, blocks=1))
    )
    return folder


def expected_image(translator: Path, image: Path) -> Any:
    pixels = torch.from_numpy(np.array(Image.open(image))).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        made = load_translator(translator)(pixels * 2 - 1)[0] / 2 + 0.5
    return (made * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_images_are_translated_and_labels_are_kept(
    translator: Path, toy_source: Path, tmp_path: Path
) -> None:
    split = resolve(str(toy_source))
    outcome = translate_split(translator, split, tmp_path / "out", image_format="png", device=CPU)
    assert (outcome.images, outcome.made, outcome.split) == (6, 6, "train")
    made = resolve(str(outcome.dataset))
    assert made.classes.names == split.classes.names and made.classes.colors == split.classes.colors
    assert [sample.stem for sample in made.samples] == [sample.stem for sample in split.samples]
    for old, new in zip(split.samples, made.samples, strict=True):
        assert old.label is not None and new.label is not None
        assert np.array_equal(split.decoder.read(old.label), made.decoder.read(new.label))
        difference = read_image(new.image).astype(int) - expected_image(translator, old.image)
        # A rounding on the edge may fall either way.
        assert abs(difference).max() <= 1
    assert not check(str(outcome.dataset)).errors
    with Image.open(outcome.contact_strip) as strip:
        assert strip.width > strip.height > 100


def test_a_second_call_translates_nothing(translator: Path, toy_source: Path, tmp_path: Path) -> None:
    split = resolve(str(toy_source))
    first = translate_split(translator, split, tmp_path / "out", device=CPU)
    before = files_in(tmp_path / "out")
    again = translate_split(translator, split, tmp_path / "out", device=CPU)
    assert again == dataclasses.replace(first, made=0)
    assert files_in(tmp_path / "out") == before


def test_an_interrupted_call_goes_on(
    translator: Path, toy_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = resolve(str(toy_source))
    translate_split(translator, split, tmp_path / "straight", device=CPU)
    original = translation._translate

    def stop_in_the_third(item: Any, stem: str, *rest: Any) -> None:
        original(item, stem, *rest)
        if stem == "002":
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(StoppedError) as stop:
        patch.setattr(translation, "_translate", stop_in_the_third)
        translate_split(translator, split, tmp_path / "out", device=CPU)
    assert (stop.value.signal_number, stop.value.step) == (signal.SIGTERM, 3)
    assert not (tmp_path / "out" / "dataset.yaml").exists()
    outcome = translate_split(translator, split, tmp_path / "out", device=CPU)
    assert outcome.made == 3
    assert files_in(tmp_path / "out") == files_in(tmp_path / "straight")


def test_another_size(translator: Path, toy_source: Path, tmp_path: Path) -> None:
    outcome = translate_split(
        translator, resolve(str(toy_source)), tmp_path, size=(30, 22), image_format="png", device=CPU
    )
    sample = resolve(str(outcome.dataset)).samples[0]
    assert sample.label is not None
    for file in (sample.image, sample.label):
        with Image.open(file) as picture:
            assert picture.size == (30, 22)


def test_some_images_evenly_spread(translator: Path, toy_source: Path, tmp_path: Path) -> None:
    outcome = translate_split(translator, resolve(str(toy_source)), tmp_path, limit=3, device=CPU)
    assert [sample.stem for sample in resolve(str(outcome.dataset)).samples] == ["000", "002", "004"]
    assert sorted(path.name for path in (tmp_path / "images" / "train").iterdir()) == [
        "000.jpg",
        "002.jpg",
        "004.jpg",
    ]


def test_a_split_without_labels_stays_without(translator: Path, toy_source: Path, tmp_path: Path) -> None:
    outcome = translate_split(translator, resolve(str(toy_source), "unlabelled"), tmp_path, device=CPU)
    made = resolve(str(outcome.dataset), "unlabelled")
    assert not made.labelled and not (tmp_path / "labels").exists()


def test_names_in_folders_are_kept(translator: Path, tmp_path: Path) -> None:
    dataset = write_toy_dataset(tmp_path / "data", count=2)
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind / "train" / "town").mkdir()
        (tmp_path / "data" / kind / "train" / "001.png").rename(
            tmp_path / "data" / kind / "train" / "town" / "001.png"
        )
    text = dataset.read_text().replace("images/train/*.png", "images/train/**/*.png")
    dataset.write_text(text.replace("labels/train/{stem}", "labels/train/{parent}/{stem}"))
    outcome = translate_split(translator, resolve(str(dataset)), tmp_path / "out", device=CPU)
    assert {sample.stem for sample in resolve(str(outcome.dataset)).samples} == {"000", "town/001"}


@pytest.mark.parametrize("what", ["translator", "size", "data", "foreign"])
def test_a_folder_of_something_else_is_refused(
    translator: Path, toy_source: Path, toy_target: Path, tmp_path: Path, what: str
) -> None:
    split, out = resolve(str(toy_source)), tmp_path / "out"
    if what == "foreign":
        out.mkdir()
        (out / "holiday.txt").write_text("photos")
    else:
        translate_split(translator, split, out, limit=1, device=CPU)
    other: dict[str, Any] = {"size": (30, 22)} if what == "size" else {}
    if what == "translator":
        torch.manual_seed(5)
        file = tmp_path / "other.safetensors"
        save_translator(file, ResnetGenerator(TranslatorConfig(base_channels=2, blocks=1)))
        translator = file
    elif what == "data":
        split = resolve(str(toy_target))
    with pytest.raises(InputError, match="other files" if what == "foreign" else "there, not"):
        translate_split(translator, split, out, limit=1, device=CPU, **other)


def test_a_bad_image_is_one_line(translator: Path, tmp_path: Path) -> None:
    dataset = write_toy_dataset(tmp_path / "data", count=2)
    (tmp_path / "data" / "images" / "train" / "001.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"001\.png") as error:
        translate_split(translator, resolve(str(dataset)), tmp_path / "out", device=CPU)
    assert len(str(error.value).splitlines()) == 1


def test_a_stem_that_leaves_the_folder_is_refused(translator: Path, toy_source: Path, tmp_path: Path) -> None:
    split = resolve(str(toy_source))
    bad = dataclasses.replace(split.samples[0], stem="../away")
    out = tmp_path / "out"
    with pytest.raises(InputError, match=r"the stem '\.\./away' cannot name a file"):
        translate_split(translator, Split(split.dataset, "train", split.classes, (bad,), split.decoder), out)
    assert not out.exists()


def test_the_stage_takes_the_training_size(translator: Path, toy_source: Path, tmp_path: Path) -> None:
    recipe = toy_recipe(toy_source, None, source={"augmentation": {"resize": [32, 24]}})
    run_translate_stage(
        recipe, {"translator": str(translator), "limit": 1}, tmp_path / "out", SILENT, "toy, stage a"
    )
    with Image.open(tmp_path / "out" / "images" / "train" / "000.jpg") as picture:
        assert picture.size == (32, 24) and picture.format == "JPEG"


def test_the_stage_translates_the_subset(translator: Path, toy_source: Path, tmp_path: Path) -> None:
    recipe = toy_recipe(toy_source, None, source={"subset": {"first": 2}})
    run_translate_stage(recipe, {"translator": str(translator)}, tmp_path / "out", SILENT, "toy, stage a")
    translated = resolve(str(tmp_path / "out" / "dataset.yaml"))
    assert [sample.stem for sample in translated.samples] == ["000", "001"]


def test_the_stage_refuses_bad_settings(translator: Path, toy_source: Path, tmp_path: Path) -> None:
    recipe = toy_recipe(toy_source, None)
    with pytest.raises(InputError, match="toy, stage a, settings: the key `translator` is missing"):
        run_translate_stage(recipe, {}, tmp_path, SILENT, "toy, stage a")
    with pytest.raises(InputError, match="unknown key `sise`; did you mean `size`"):
        run_translate_stage(recipe, {"translator": "x", "sise": [1, 1]}, tmp_path, SILENT, "toy")
    with pytest.raises(InputError, match=r"gone.*no such file"):
        run_translate_stage(recipe, {"translator": "gone"}, tmp_path / "out", SILENT, "toy")
    bare = parse(type(recipe), recipe.model_dump() | {"source": {}}, "toy")
    with pytest.raises(InputError, match="toy: no source images to translate"):
        run_translate_stage(bare, {"translator": str(translator)}, tmp_path, SILENT, "toy")


def test_translator_translation_and_training_from_one_recipe(
    toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    small = {"base_channels": 2, "blocks": 1}
    recipe = toy_recipe(
        toy_source,
        toy_target,
        training={"steps": 2},
        stages=[
            {
                "name": "translator",
                "changes": {"method": {"name": "cyclegan", "generator": small, "discriminator_channels": 2}},
            },
            {"name": "translated", "kind": "translate"},
            {"name": "adapt", "changes": {"source": {"also": [{"dataset": "{translated}/dataset.yaml"}]}}},
        ],
        # The tiny segmenter's settings have no place in the translator's stage.
        optimizers={"segmenter": {"lr_multipliers": {"head": 1}}},
    )
    results = run(recipe, tmp_path / "run")
    assert results["evaluation"] is not None and "toy_translated train (6 images)" in results["source"]
    before = files_in(tmp_path / "run")
    assert json.loads(before["results.json"]) == results
    run(recipe, tmp_path / "run")
    assert files_in(tmp_path / "run") == before
