"""Networks of other libraries and one's own, adapted by real runs that start from their own predictions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import segshift as package
from tests.engine.recipes import toy_recipe
from tests.engine.runs import run

C = 3
METHODS = {
    "mean_teacher": [{"term": "mean_teacher"}],
    "advent": [{"term": "advent", "base_channels": 4}],
    "mic": [{"term": "mean_teacher"}, {"term": "masked_consistency", "block_px": 16}],
}
OWN = """
from torch import nn

class Small(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.classifier = nn.Conv2d(8, classes, 1)

    def forward(self, x):
        features = self.body(x)
        return self.classifier(features), features
"""


def smp_unet(folder: Path) -> tuple[dict[str, Any], Callable[[Tensor], Tensor]]:
    smp = pytest.importorskip("segmentation_models_pytorch", reason="the extra `smp` is not installed")
    network = smp.Unet("resnet18", encoder_weights=None, classes=C).eval()
    torch.save(network.state_dict(), folder / "unet.pth")
    return {
        "library": "smp", "architecture": "Unet", "encoder": "resnet18", "weights": str(folder / "unet.pth")
    }, network  # fmt: skip


def hugging_face_segformer(folder: Path) -> tuple[dict[str, Any], Callable[[Tensor], Tensor]]:
    transformers = pytest.importorskip("transformers", reason="the extra `transformers` is not installed")
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], decoder_hidden_size=16, num_labels=C
    )
    network = transformers.SegformerForSemanticSegmentation(config).eval()
    network.save_pretrained(folder / "segformer")
    settings = {"library": "transformers", "architecture": "Segformer", "weights": str(folder / "segformer")}
    return settings, lambda images: network(images).logits


def own_module(folder: Path) -> tuple[dict[str, Any], Callable[[Tensor], Tensor]]:
    (folder / "own.py").write_text(OWN)
    names: dict[str, Any] = {}
    exec(OWN, names)
    network = names["Small"](C).eval()
    torch.save(network.state_dict(), folder / "own.pth")
    settings = {"module": f"{folder / 'own.py'}:Small", "weights": str(folder / "own.pth")}
    return settings, lambda images: network(images)[0]


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("network", [smp_unet, hugging_face_segformer, own_module])
def test_a_run_starts_from_the_librarys_predictions_and_adapts_them(
    tmp_path: Path, toy_source: Path, toy_target: Path, network: Any, method: str
) -> None:
    torch.manual_seed(0)
    model, theirs = network(tmp_path)
    augmentation = {"crop": [64, 64], "resize": [96, 64]}
    recipe = toy_recipe(
        toy_source, toy_target, model=model, method={"name": "align", "terms": METHODS[method]},
        source={"augmentation": augmentation}, target={"augmentation": augmentation},
        training={"steps": 2, "keep_checkpoints": "all", "checkpoint_every": 1},
    )  # fmt: skip
    run(recipe, tmp_path / "run")
    images = torch.rand(1, 3, 70, 101) if "module" in model else torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        expected = theirs(images)
        before = package.load(tmp_path / "run@0")(images).logits
        after = package.load(tmp_path / "run")(images).logits
    torch.testing.assert_close(before, expected, rtol=1e-5, atol=1e-5)
    assert torch.isfinite(after).all() and float((after - before).abs().max()) > 1e-3
