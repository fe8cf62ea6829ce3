"""What needs no network is answered without loading PyTorch and its like: at once, and in little memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from segshift.cli.early import complete_preset
from tests.cli.conftest import Segshift

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "cv2",
    "sklearn",
    "matplotlib",
    "plotly",
    "scipy",
    "accelerate",
    "gradio",
)
COMMANDS = {
    "serve -h": 0,
    "serve gone": 2,
    "--help": 0,
    "-h": 0,
    "--version": 0,
    "train -h": 0,
    "data -h": 0,
    "presets list": 0,
    "presets list clan --json": 0,
    "presets show advent": 0,
    "presets show advnt": 2,
    "data list": 0,
    "data list --json": 0,
    "data show gta5": 0,
    "data show gta": 2,
    "train advnt": 2,
    "train gone.yaml": 2,
    "train advent --set training.steps=[": 2,
    "sweep advnt --set training.steps=1,2 --out runs": 2,
    "compare gone.yaml": 2,
    "doctor gone.yaml": 2,
    "evaluate gone --data city:game": 2,
    "predict gone photo.png --out out": 2,
    "adapt gone photos --out out": 2,
    "report gone": 2,
    "health gone": 2,
    "watch gone": 2,
    # What recipes, options and data sets get wrong.
    "train advent --bogus": 2,
    "train advent --set training.stepz=3": 2,
    "train advent --set training.steps=few": 2,
    "train adaptpatch_fusion --set stages.0.changes.training.stepz=3": 2,
    "train advent --source camvid:gone": 2,
    "train advent --target gone.yaml": 2,
    "train advent --device gpu": 2,
    "adapt gone.safetensors photos --out runs --device gpu": 2,
    "sweep advent --set training.steps=1,2 --out runs --seeds 0,0": 2,
    "sweep advent --set training.steps=1,2 --out runs --source camvid:gone --device gpu": 2,
    "doctor advent --set training.stepz=3": 2,
    "data show gta --json": 2,
    "data check gone.yaml": 2,
    "data check camvid:gone": 2,
    "data prepare camvid:gone --size 64x48 --out out": 2,
    "data prepare camvid:gone --size large --out out": 2,
    "data translate gone --data camvid:gone --out out": 2,
    "data pseudo-label gone --data city:game --out out": 2,
    "data pseudo-label gone --data city:game --out out --rule best": 2,
    "data patch-modes gone.yaml --out modes.png": 2,
    "diagnose city:game gone.yaml --out out": 2,
    "diagnose city:game city:dusk --out out --size large": 2,
    "analyze gone --source city:game --target city:dusk --out out": 2,
    "import-weights gone.pth --layout clan --out clan.safetensors": 2,
    "import-weights gone.pth --layout plan --out clan.safetensors": 2,
}
SCRIPT = f"""
import contextlib, io, json, sys
from segshift.cli import main
found = {{}}
for command in {list(COMMANDS)!r}:
    sys.argv = ["segshift", *command.split()]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
    found[command] = [status, [name for name in {HEAVY!r} if name in sys.modules]]
print(json.dumps(found))
"""


@pytest.mark.process
def test_light_commands_and_early_refusals_load_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {command: [status, []] for command, status in COMMANDS.items()}
    assert list(tmp_path.iterdir()) == []


def test_names_of_presets_are_completed() -> None:
    assert complete_preset("adve")[:2] == ["advent", "advent_gta5_cityscapes_resnet101"]
    assert complete_preset("nothing") == []


def test_an_unknown_preset_prints_a_near_match_and_a_hint_and_no_list(segshift: Segshift) -> None:
    near = segshift("presets", "show", "advnt").refusal()
    assert "did you mean `advent`?" in near and "segshift presets list" in near
    far = segshift("presets", "show", "qqqq").refusal()
    assert "segshift presets list" in far and "clan" not in far and len(far) < 150


def test_help_has_a_short_name_everywhere(segshift: Segshift) -> None:
    for words in (
        ["-h"],
        ["train", "-h"],
        ["data", "-h"],
        ["data", "check", "-h"],
        ["presets", "list", "-h"],
    ):
        outcome = segshift(*words)
        assert outcome.status == 0 and "Usage" in outcome.out and "--quiet" in outcome.out


def test_quiet_silences_progress_and_no_error(
    segshift: Segshift, toy_source: Path, toy_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "cpu")  # so that what --device sets is put back
    changes = ["backbone=segshift_tiny", "weights=none", "output_stride=8"]
    changes = [*(f"model.{one}" for one in changes), "training.steps=1", "training.workers=0"]
    settings = [word for change in changes for word in ("--set", change)]
    domains = ["--source", toy_source, "--target", toy_target]
    words = ["train", "source_only", *domains, *settings, "--out", tmp_path / "run"]
    loud = segshift(*words, "--device", "cpu")
    assert loud.status == 0
    assert "on cpu: segshift_tiny, " in loud.err and "source toy" in loud.err and "images" in loud.err
    quiet = segshift(*words, "--set", "evaluation.flip=true", "--quiet")
    assert quiet.status == 0 and quiet.err == "" and "mIoU" in quiet.out
    assert "gone.yaml: no such file" in segshift("train", "gone.yaml", "--quiet").refusal()


def test_a_device_that_is_not_there_is_one_line(segshift: Segshift, tmp_path: Path) -> None:
    refusal = segshift("train", "advent", "--device", "cuda:77", "--out", tmp_path / "run").refusal()
    assert "--device cuda:77" in refusal and not (tmp_path / "run").exists()


def test_a_former_name_of_a_key_is_one_line_on_stderr(segshift: Segshift, tmp_path: Path) -> None:
    recipe = tmp_path / "old.yaml"
    recipe.write_text("extends: lsd\nname: old\nmethod: {generator_width: 8}\ntraining: {steps: -1}\n")
    outcome = segshift("train", recipe)
    assert outcome.status == 2
    noted = tmp_path / "noted.yaml"
    noted.write_text("extends: lsd\nname: old\nmethod: {generator_width: 8, spce: image}\n")
    outcome = segshift("train", noted)
    first, second = outcome.err.splitlines()
    assert first == "note: `generator_width` is called `generator_channels` now"
    assert second.startswith("error: ") and "spce" in second
