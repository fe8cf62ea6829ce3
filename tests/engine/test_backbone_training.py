"""Runs that train low-rank additions, or heads alone."""

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import segshift as package
from segshift.engine.run import run_recipe
from segshift.errors import StoppedError
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_config import SegmenterConfig
from segshift.terminal import TerminalProgress
from tests.engine.recipes import EVERY_TERM, toy_recipe
from tests.engine.runs import assert_same_bits, run, weights


def test_a_run_with_additions_resumes_to_the_bit_and_leaves_a_plain_network(
    tmp_path: Path, toy_source: Path, toy_target: Path, stop_after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {"auxiliary_head": True, "backbone_training": "lora", "lora": {"rank": 2}}
    recipe = toy_recipe(
        toy_source,
        toy_target,
        model=model,
        method=EVERY_TERM,
        training={"steps": 5, "keep_checkpoints": "all"},
    )
    run(recipe, tmp_path / "straight")
    stop_after(3)
    with pytest.raises(StoppedError):
        run(recipe, tmp_path / "resumed")
    monkeypatch.undo()
    run(recipe, tmp_path / "resumed", resume=True)
    assert_same_bits(weights(tmp_path / "straight"), weights(tmp_path / "resumed"))

    plain = Segmenter(
        SegmenterConfig(backbone="segshift_tiny", weights="none", auxiliary_head=True),
        package.load(tmp_path / "straight").classes,
    )
    # The teacher's weights, which is what this run deploys, with its averaged additions in them.
    state = torch.load(tmp_path / "straight/checkpoints/step_00000005.pt", weights_only=True)["method"]
    end = "backbone.stage1.conv1.parametrizations.weight"
    teacher = {key.split("teacher.")[1]: value for key, value in state.items() if ".teacher." in key}
    addition = teacher[f"{end}.0.up"] @ teacher[f"{end}.0.down"]
    assert float(addition.abs().max()) > 0
    original = teacher[f"{end}.original"]
    final = weights(tmp_path / "straight")
    assert final.keys() == plain.state_dict().keys()
    expected = original + 16 / 2 * addition.view_as(original)
    torch.testing.assert_close(final["backbone.stage1.conv1.weight"], expected)
    # The untrained network of step 0 is a model like all others.
    start = weights_of(tmp_path / "straight@0")
    torch.testing.assert_close(start["backbone.stage1.conv1.weight"], original, rtol=0, atol=0)


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return dict(package.load(path).state_dict())


@pytest.mark.parametrize(
    ("training", "words"),
    [("frozen", "backbone frozen: "), ("lora", "LoRA: "), ("all", "segshift_tiny, 0.2 M")],
)
def test_a_run_opens_with_the_share_that_is_trained(
    tmp_path: Path, toy_source: Path, training: str, words: str
) -> None:
    recipe = toy_recipe(toy_source, None, model={"backbone_training": training}, training={"steps": 1})
    text = io.StringIO()
    run_recipe(recipe, tmp_path / "run", TerminalProgress(Console(file=text, width=400)))
    line = next(line for line in text.getvalue().splitlines() if "parameters" in line)
    assert words in line
    assert ("parameters are trained" in line) == (training != "all")
