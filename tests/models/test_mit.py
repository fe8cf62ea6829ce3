"""SegFormer's encoders: published sizes, strides, transformers' own answers, and weights from elsewhere."""

import sys
from pathlib import Path

import pytest
import torch

from segshift.data.labels import class_set
from segshift.errors import InputError
from segshift.models import backbones
from segshift.models.backbones import build_backbone
from segshift.models.mit import MIT, MixTransformer
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_config import SegmenterConfig

transformers = pytest.importorskip("transformers")

# Xie et al., NeurIPS 2021, table 1: parameters of the encoders, in millions.
MILLIONS = {"mit_b0": 3.4, "mit_b1": 13.1, "mit_b2": 24.2, "mit_b3": 44.0, "mit_b4": 60.8, "mit_b5": 81.4}


@pytest.mark.parametrize("name", MIT)
def test_parameters_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        network = MixTransformer(name)
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    # The paper counts B0 with the layers behind its last stage.
    assert count == pytest.approx(MILLIONS[name], abs=0.1)


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_features_are_at_four_strides(levels: int) -> None:
    backbone = build_backbone("mit_b0", levels=levels)
    features = backbone.network.eval()(torch.rand(1, 3, 96, 160))
    expected = [(1, c, 96 // s, 160 // s) for c, s in zip((32, 64, 160, 256), (4, 8, 16, 32), strict=True)]
    assert [tuple(one.shape) for one in features] == expected[-levels:]
    assert (backbone.pyramid_strides, backbone.pyramid_channels) == (
        (4, 8, 16, 32)[-levels:],
        (32, 64, 160, 256)[-levels:],
    )


def test_it_answers_as_transformers_does_and_takes_its_weights(tmp_path: Path) -> None:
    theirs = transformers.SegformerForImageClassification(transformers.SegformerConfig()).eval()
    theirs.save_pretrained(tmp_path / "folder")
    torch.save(theirs.state_dict(), tmp_path / "file.pth")
    images = torch.rand(1, 3, 70, 90)
    with torch.no_grad():
        expected = theirs.segformer(images, output_hidden_states=True).hidden_states
        for weights in ("folder", "file.pth"):
            network = build_backbone("mit_b0", str(tmp_path / weights), levels=4).network.eval()
            for mine, one in zip(network(images), expected, strict=True):
                torch.testing.assert_close(mine, one, rtol=1e-5, atol=1e-5)
    with pytest.raises(InputError, match="holds another network than mit_b1") as error:
        build_backbone("mit_b1", str(tmp_path / "folder"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("head", ["deeplab_v2", "segformer", "daformer", "fcn8s"])
def test_every_head_sits_on_it_and_a_model_file_comes_back(tmp_path: Path, head: str) -> None:
    config = SegmenterConfig.model_validate(
        {"backbone": "mit_b0", "weights": "none", "head": head, "head_channels": 32}
    )
    segmenter = Segmenter(config, class_set("cityscapes19")).eval()
    images = segmenter.normalize(torch.rand(1, 3, 65, 97))
    segmenter.save(tmp_path / "model.safetensors")
    with torch.no_grad():
        logits = segmenter(images).logits
        assert torch.equal(Segmenter.load(tmp_path / "model.safetensors")(images).logits, logits)
    assert logits.shape[:2] == (1, 19)


def test_other_strides_and_unknown_weights_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, message in (
        (("mit_b0", "none", 8), "mit_b0 can only have 32"),
        (("mit_b0", "package"), "none with mit_b0"),
        (("mit_b9",), "did you mean .*mit_b"),
    ):
        with pytest.raises(InputError, match=message) as error:
            build_backbone(*arguments)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)
    monkeypatch.setattr(backbones, "_answers", lambda address: False)
    with pytest.raises(InputError, match="cannot get those of mit_b0 from the model hub"):
        build_backbone("mit_b0", "imagenet")


def test_without_transformers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"backbone = mit_b0: needs transformers.*segshift\[transformers\]"):
        build_backbone("mit_b0")
