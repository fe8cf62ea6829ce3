"""`segshift data translate`."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from segshift.data.resolve import resolve
from segshift.models.translators import ResnetGenerator, TranslatorConfig, save_translator
from tests.cli.conftest import Segshift


@pytest.fixture
def translator(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    file = tmp_path / "run" / "translator.safetensors"
    file.parent.mkdir()
    save_translator(file, ResnetGenerator(TranslatorConfig(base_channels=2, blocks=1)))
    return file


def test_it_writes_a_data_set(segshift: Segshift, translator: Path, toy_source: Path, tmp_path: Path) -> None:
    arguments = [
        "data",
        "translate",
        translator.parent,
        "--data",
        f"{toy_source}:val",
        "--out",
        tmp_path / "out",
    ]
    arguments += ["--size", "32x24", "--limit", 2, "--workers", 0, "--format", "png"]
    data = segshift(*arguments, "--json").json()
    assert (data["images"], data["translated_now"], data["split"]) == (2, 2, "val")
    made = resolve(data["dataset"], "val")
    assert len(made.samples) == 2 and made.labelled
    with Image.open(made.samples[0].image) as image:
        assert image.size == (32, 24) and image.format == "PNG"
    assert Path(data["contact_strip"]).is_file()
    again = segshift(*arguments)
    assert again.status == 0 and "2 images, 0 of them translated now" in again.out
    assert "dataset.yaml" in again.out.replace("\n", "")


def test_bad_input_is_one_line(
    segshift: Segshift, translator: Path, toy_source: Path, tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "out"]
    missing = segshift("data", "translate", tmp_path / "gone", "--data", toy_source, *out).refusal()
    assert "gone: no such file; give a run folder of `segshift train cyclegan`" in missing
    size = segshift("data", "translate", translator, "--data", toy_source, "--size", "32", *out).refusal()
    assert "--size 32" in size
    assert not (tmp_path / "out").exists()
