"""`segshift adapt`: what it prints, and one line for every bad input."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from segshift.data.labels import ClassSet
from segshift.engine import adapt as engine
from segshift.models import Segmenter, SegmenterConfig
from tests.cli.conftest import Segshift


def network(path: Path, **settings: object) -> Path:
    torch.manual_seed(0)
    config = {"backbone": "segshift_tiny", "weights": "none", **settings}
    classes = ClassSet("two", ("sky", "ground"), ((0, 0, 255), (0, 255, 0)))
    Segmenter(SegmenterConfig.model_validate(config), classes).save(path)
    return path


def photo(path: Path, size: tuple[int, int]) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.new("RGB", size, (90, 120, 30)).save(path)
    return path


def test_it_prints_scores_a_verdict_and_where_things_are(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    photos, out = toy_target.parent / "images" / "train", tmp_path / "run"
    command = ["adapt", trained, photos, "--out", out, "--method", "adabn", "--set", "training.workers=0"]
    outcome = segshift(*command)
    assert outcome.status == 0, outcome.err
    assert "label-free scores" in outcome.out and "network was kept" in outcome.out.replace("\n", " ")
    assert str(out / "model.safetensors") in outcome.out
    data = segshift(*command, "--json").json()
    assert data["kept"] in ("adapted", "original") and data["before"].keys() == data["after"].keys()
    assert data["results"]["target"] == "photos train (6 images)"
    for after in (["report", out, "--out", tmp_path / "page.html"], ["health", out]):
        assert segshift(*after).status == 0, after


def test_bad_input_is_one_line(segshift: Segshift, tmp_path: Path) -> None:
    model = network(tmp_path / "m.safetensors")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no picture")
    photo(tmp_path / "tiny" / "a.png", (20, 300))
    for name in ("a.png", "a.jpg"):
        photo(tmp_path / "huge" / name, (4000, 3000))
        photos = photo(tmp_path / "good" / name, (64, 48)).parent
    plain = network(tmp_path / "plain.safetensors", backbone="convnext_atto", output_stride="native")
    source = tmp_path / "source.yaml"
    source.write_text("extends: minent\n")
    last = tmp_path / "last.yaml"
    last.write_text("extends: adapt_tent\ntraining: {select: last, patience: null}\n")
    table: list[tuple[list[object], str]] = [
        ([tmp_path / "no.safetensors", photos], "no such file"),
        ([model, tmp_path / "nowhere"], "no such file or folder"),
        ([model, tmp_path / "empty"], "holds no images"),
        ([model, tmp_path / "broken"], "a.png"),
        ([model, tmp_path / "broken", "--skip-bad"], "no image can be used"),
        ([model, tmp_path / "tiny"], "20x300 px are too few to adapt to"),
        ([model, tmp_path / "huge"], "give --size, such as 1182x887"),
        ([model, photos, photos.with_name("tiny"), "city:dusk"], "city:dusk is a data set; give it alone"),
        ([model, photos, "--method", "tnet"], "did you mean `tent`?"),
        ([model, photos, "--method", "adabn", "--steps", "3"], "adabn trains nothing"),
        ([model, photos, "--method", source], "set source.dataset: none"),
        ([model, photos, "--method", last], "decide whether the original is kept"),
        ([model, photos, "--size", "big"], "--size big"),
        ([model, photos, "--set", "training.stesp=3"], "training.stesp"),
        ([plain, photos, "--method", "adabn"], "no batch norm whose statistics could be replaced"),
    ]
    for number, (arguments, message) in enumerate(table):
        line = segshift("adapt", *arguments, "--out", tmp_path / "out" / str(number)).refusal()
        assert message in line, (arguments, line)


def test_a_preset_without_a_network_says_what_it_lacks(segshift: Segshift, tmp_path: Path) -> None:
    line = segshift("train", "adapt_tent", "--target", "city:dusk,size=64x48,count=2,val=1").refusal()
    assert "--set init_from=RUN_FOLDER" in line


def test_methods_have_presets() -> None:
    from segshift.engine.recipe_files import preset_names

    assert set(engine.PRESETS.values()) <= set(preset_names())
    assert all(preset.startswith("adapt_") for preset in engine.PRESETS.values())


@pytest.mark.parametrize("name", ["adapt"])
def test_the_help_names_an_example(segshift: Segshift, name: str) -> None:
    assert "segshift adapt runs/streets photos/" in segshift(name, "--help").out.replace("\n", " ")
