"""A run looks at all its files first, leaves out what it is told to, and never scores what it trains on."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from segshift.data.augmentation import Augmentation
from segshift.data.resolve import resolve
from segshift.data.survey import Survey, survey_images
from segshift.engine.datasets import Domains, resolve_domains
from segshift.engine.survey import look_at_files, stretched
from segshift.engine.target_labels import images_trained_on
from segshift.errors import InputError
from tests.data.files import pixels, save
from tests.engine.recipes import toy_recipe


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def own_target(tmp_path: Path, toy_target: Path) -> Path:
    """A copy that may be spoilt."""
    shutil.copytree(toy_target.parent, tmp_path / "own")
    return tmp_path / "own" / toy_target.name


def look(source: Path, target: Path, **changes: Any) -> tuple[Domains, list[str]]:
    said: list[str] = []
    recipe = toy_recipe(source, target, **changes)
    return look_at_files(recipe, resolve_domains(recipe), said.append), said


def images(data: Path, split: str = "train") -> list[Path]:
    return sorted((data.parent / "images" / split).glob("*.png"))


def test_sound_files_are_nothing_to_talk_about(toy_source: Path, toy_target: Path) -> None:
    domains, said = look(toy_source, toy_target)
    assert domains == resolve_domains(toy_recipe(toy_source, toy_target)) and said == []


def test_what_is_converted_is_said_once(toy_source: Path, own_target: Path) -> None:
    for path in images(own_target)[:2]:
        Image.open(path).convert("RGBA").save(path)
    _, said = look(toy_source, own_target)
    assert said == ["target toy:train: 2 of 6 images are converted to 8-bit RGB (2 RGBA)"]


def test_bad_files_are_refused_before_the_first_step_or_left_out(toy_source: Path, own_target: Path) -> None:
    Image.new("RGBA", (64, 48)).save(images(own_target)[1])
    broken = images(own_target)[4]
    broken.write_bytes(broken.read_bytes()[:-80])
    with pytest.raises(InputError) as caught:
        look(toy_source, own_target)
    assert "transparency" in str(caught.value) and "--skip-bad" in str(caught.value)
    domains, said = look(toy_source, own_target, training={"skip_bad": True})
    assert domains.target is not None and len(domains.target.samples) == 4
    assert domains.describe("target") == "toy train (4 of 6 images, bad ones left out)"
    assert len(said) == 1 and "2 samples are left out, first" in said[0]


def test_images_trained_on_with_labels_are_not_scored(toy_source: Path, toy_target: Path) -> None:
    part = {"dataset": str(toy_target), "split": "val", "subset": {"first": 2}}
    domains = resolve_domains(toy_recipe(toy_source, toy_target, target_labelled=part))
    assert domains.evaluation is not None and len(domains.evaluation.samples) == 4
    assert domains.describe("evaluation") == "toy val (4 of 6 images, those trained on with labels left out)"
    trained = {sample.image for sample in domains.labelled["target_labelled"].samples}
    assert not trained & {sample.image for sample in domains.evaluation.samples}


def test_a_link_to_a_trained_image_is_that_image(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    (tmp_path / "linked").symlink_to(toy_target.parent, target_is_directory=True)
    also = [{"dataset": str(tmp_path / "linked" / toy_target.name), "split": "val"}]
    with pytest.raises(InputError, match="all of its 6 images are trained on with labels"):
        resolve_domains(toy_recipe(toy_source, toy_target, source={"also": also}))


def test_a_copy_of_a_trained_image_under_another_name_is_not_scored(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    toy_target = shutil.copytree(toy_target.parent, tmp_path / "target") / toy_target.name
    trained = resolve(str(toy_source)).samples[0].image
    scored = resolve(str(toy_target), "val")
    shutil.copy(trained, scored.samples[2].image)
    domains = resolve_domains(toy_recipe(toy_source, toy_target))
    assert domains.evaluation is not None
    assert {one.image for one in scored.samples} - {one.image for one in domains.evaluation.samples} == {
        scored.samples[2].image
    }
    (tmp_path / "run").mkdir()
    recipe = toy_recipe(toy_source, toy_target)
    (tmp_path / "run/config.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    assert images_trained_on(tmp_path / "run", scored) == 1


def surveyed(tmp_path: Path, *sizes: tuple[int, int]) -> Survey:
    return survey_images(
        save(tmp_path / f"{index}.png", pixels(index, *size)) for index, size in enumerate(sizes)
    )


def test_changed_proportions_are_said(tmp_path: Path) -> None:
    looked = surveyed(tmp_path, (32, 18), (36, 48), (36, 48), (64, 36))
    said = stretched(looked, Augmentation(resize=(320, 180)))
    assert said.startswith("2 of 4 images (2 of 36x48) are stretched to 320x180") and "fit: cover" in said
    assert stretched(looked, Augmentation(resize=(320, 180), fit="pad")) == ""
    assert stretched(looked, Augmentation()) == stretched(looked, None) == ""
    # GTA5's 1914x1052 at 1280x720 is what everybody does.
    assert stretched(surveyed(tmp_path, (1914, 1052)), Augmentation(resize=(1280, 720))) == ""


def test_a_run_knows_what_it_was_trained_on(tmp_path: Path, toy_source: Path, toy_target: Path) -> None:
    part = {"dataset": str(toy_target), "split": "train", "subset": {"first": 2}}
    recipe = toy_recipe(toy_source, toy_target, target_labelled=part)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    counts = {
        f"{data.parent.name}:{split}": images_trained_on(tmp_path / "run", resolve(str(data), split))
        for data in (toy_source, toy_target)
        for split in ("train", "val")
    }
    assert list(counts.values()) == [6, 0, 2, 0]
    assert images_trained_on(tmp_path / "nowhere", resolve(str(toy_target))) == 0
