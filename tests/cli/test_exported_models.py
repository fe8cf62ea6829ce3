"""Exported programs in the place of models, in every command that takes one."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

import segshift as package
from segshift.engine.run import run_recipe
from segshift.export import ExportSettings, export
from segshift.progress import SILENT
from segshift.serve.limits import Limits
from segshift.serve.seeing import Viewer
from tests.cli.conftest import Segshift
from tests.engine.recipes import EVERY_TERM, toy_recipe


@pytest.fixture(scope="module")
def program(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program") / "export"
    export(trained, folder, ExportSettings(("torchscript",), compared=1, scored=0))
    return folder / "model.torchscript"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    for name, size in (("a", (80, 60)), ("b", (72, 96))):
        Image.fromarray(noise).resize(size).save(folder / f"{name}.png")
    return folder


def test_predict_writes_the_networks_labels(
    segshift: Segshift, trained: Path, program: Path, photos: Path, tmp_path: Path
) -> None:
    for model, out in ((trained, "network"), (program, "program")):
        assert segshift("predict", model, photos, "--out", tmp_path / out).status == 0
    for name in ("a", "b"):
        (own,) = (tmp_path / "network").rglob(f"{name}*label*.png")
        (other,) = (tmp_path / "program").rglob(f"{name}*label*.png")
        ids = np.asarray(Image.open(own)), np.asarray(Image.open(other))
        assert ids[0].shape == ids[1].shape and (ids[0] == ids[1]).mean() > 0.999


def test_the_service_shows_it(trained: Path, program: Path, photos: Path, tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    photo = uploads / "a.png"
    photo.write_bytes((photos / "a.png").read_bytes())
    models = {"network": package.load(trained), "program": package.load(program)}
    viewer = Viewer(models, uploads, limits=Limits(megapixels=1))
    own, other = (viewer.see(photo, name) for name in models)
    assert (own.ids == other.ids).mean() > 0.999 and other.probabilities is not None
    assert np.abs(own.entropy.astype(int) - other.entropy).max() <= 2


def test_what_needs_weights_or_features_is_refused_in_one_line(
    segshift: Segshift, trained: Path, program: Path, photos: Path, toy_target: Path, tmp_path: Path
) -> None:
    weights = f"{program}: is an exported program, which predicts and cannot be trained, copied or exported"
    out = tmp_path / "out"
    for method in ("adabn", "tent", "self_training"):
        assert (
            segshift("adapt", program, photos, "--out", out, "--method", method).refusal().startswith(weights)
        )
        assert not out.exists()
    assert segshift("export", program).refusal().endswith("give the run folder that it was made of")
    data = ["--source", f"{toy_target}:val", "--target", f"{toy_target}:val"]
    assert "gives no features" in segshift("analyze", program, *data, "--out", out).refusal()
    recipe = yaml.safe_load((trained / "config.yaml").read_text())
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "init_from": str(program)}))
    refusal = segshift("train", tmp_path / "recipe.yaml", "--out", out).refusal()
    assert refusal.startswith(weights)


def test_no_discriminator_and_no_teacher_is_exported(
    toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    """Whatever trained a network, its program has the plain segmenter's tensors alone."""
    run = tmp_path / "run"
    training = {"steps": 4, "checkpoint_every": 4}
    changes = {"method": EVERY_TERM, "training": training, "model": {"auxiliary_head": True}}
    run_recipe(toy_recipe(toy_source, toy_target, **changes), run, SILENT)
    kept = torch.load(run / "checkpoints" / "step_00000004.pt", weights_only=True)["method"]
    assert any("adversary" in name for name in kept) and any("teacher" in name for name in kept)
    settings = ExportSettings(("torchscript", "safetensors"), ("fp32", "fp16"), compared=1, scored=0)
    done = export(run, tmp_path / "export", settings)
    plain = package.load(run).state_dict()
    program = torch.jit.load(done.files[0].path).state_dict()
    expected = {name: v.numel() for name, v in plain.items() if not name.startswith("auxiliary_head.")}
    expected |= {"mean": 3, "std": 3}  # what normalises images
    assert {name.removeprefix("segmenter."): v.numel() for name, v in program.items()} == expected
    assert load_file(done.files[2].path).keys() == plain.keys()
    assert load_file(done.files[3].path).keys() == plain.keys()
    assert done.files[2].path.stat().st_size == pytest.approx((run / "model.safetensors").stat().st_size)
