"""Networks of other libraries as model files: logits, class names, pixel statistics."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import segshift as package
from segshift.config import parse
from segshift.data.labels import ClassSet, class_set
from segshift.errors import InputError
from segshift.models import Segmenter, SegmenterConfig
from segshift.models.libraries.class_rows import fitted
from segshift.models.libraries.imported import import_network
from tests.cli.conftest import Segshift

SEGFORMER = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16}
NAMES = ["Floor", "traffic_light", "box"]


@pytest.fixture(scope="module")
def segformer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder of transformers with class names and pixel statistics, and the network in it."""
    transformers = pytest.importorskip("transformers", reason="the extra `transformers` is not installed")
    torch.manual_seed(0)
    labels = dict(enumerate(NAMES))
    config = transformers.SegformerConfig(
        **SEGFORMER, id2label=labels, label2id={name: i for i, name in labels.items()}
    )
    network = transformers.SegformerForSemanticSegmentation(config).eval()
    folder = tmp_path_factory.mktemp("hf") / "rooms"
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2]}'
    )
    return folder, network


def test_a_folder_of_transformers_brings_names_and_pixels(
    segshift: Segshift, segformer: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, theirs = segformer
    model = tmp_path / "m.safetensors"
    said = segshift("import-weights", folder, "--layout", "transformers", "--out", model, "--json").json()
    assert said["classes"] == NAMES and said["class_set"] == "rooms" and said["input_size"] is None
    ours = package.load(model)
    assert ours.class_names == tuple(NAMES)
    assert ours.pixel_statistics.mean == (0.5, 0.4, 0.3) and ours.pixel_statistics.std == (0.2, 0.2, 0.2)
    images = torch.rand(1, 3, 70, 101)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images).logits, theirs(images).logits, rtol=1e-5, atol=1e-5)


def test_names_of_a_known_set_are_that_set(segformer: tuple[Path, Any], tmp_path: Path) -> None:
    folder, network = segformer
    known = class_set("cityscapes19")
    config = type(network.config)(**SEGFORMER, id2label=dict(enumerate(n.title() for n in known.names)))
    type(network)(config).save_pretrained(tmp_path / "streets")
    assert import_network(tmp_path / "streets", "transformers").classes == known
    assert import_network(folder, "transformers", class_set(["a", "b", "c"])).class_names == ("a", "b", "c")


def test_an_smp_folder_or_file_becomes_a_model(segshift: Segshift, tmp_path: Path) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch", reason="the extra `smp` is not installed")
    torch.manual_seed(1)
    channels = (32, 16, 8, 8, 4)
    theirs = smp.Unet("resnet18", encoder_weights=None, classes=3, decoder_channels=channels).eval()
    theirs.save_pretrained(tmp_path / "folder")
    plain = smp.FPN("resnet18", encoder_weights=None, classes=3).eval()
    torch.save({"state_dict": {f"module.{k}": v for k, v in plain.state_dict().items()}}, tmp_path / "f.pth")
    images = torch.rand(1, 3, 64, 96)
    for name, network, options in (
        ("folder", theirs, ()),
        ("f.pth", plain, ("--architecture", "FPN", "--encoder", "resnet18")),
    ):
        model = tmp_path / f"{name}.safetensors"
        arguments = ("--layout", "smp", "--classes", "sky,ground,box", "--input-size", "96x64", *options)
        outcome = segshift("import-weights", tmp_path / name, *arguments, "--out", model)
        assert outcome.status == 0 and "on resnet18, custom (sky, ground, box)" in " ".join(
            outcome.out.split()
        )
        ours = package.load(model)
        assert ours.config.input_size == (96, 64)
        with torch.inference_mode():
            torch.testing.assert_close(ours(images).logits, network(images), rtol=1e-5, atol=1e-5)


def test_a_recipes_classes_get_the_rows_of_their_names(segformer: tuple[Path, Any]) -> None:
    """Equal classes in another order must not be taken for one another."""
    folder, theirs = segformer
    names = ("box", "wall", "traffic light")
    classes = ClassSet("ours", names, ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    settings = {"library": "transformers", "architecture": "Segformer", "weights": str(folder)}
    ours = Segmenter(parse(SegmenterConfig, settings, "model"), classes).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        found, expected = ours(images).logits, theirs(images).logits
    torch.testing.assert_close(found[:, 0], expected[:, 2])
    torch.testing.assert_close(found[:, 2], expected[:, 1])
    assert not any(torch.allclose(found[:, 1], expected[:, i]) for i in range(3))


def test_rows_without_names_stay_where_they_are() -> None:
    classifier = nn.Conv2d(4, 3, 1)
    assert fitted(classifier, None, ("a", "b", "c"), 0.02) is classifier
    assert fitted(classifier, ["A", "b", "c"], ("a", "b", "c"), 0.02) is classifier
    anew = fitted(classifier, None, ("a", "b"), 0.02)
    assert anew.out_channels == 2 and anew.bias is not None and not anew.bias.any()


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (None, (), "holds no config.json"),
        ({"architectures": ["SegformerModel"]}, (), "holds SegformerModel, not a network"),
        ({"architectures": ["SegformerForSemanticSegmentation"]}, (), "names no classes; give --classes"),
        (
            {"architectures": ["SegformerForSemanticSegmentation"], "id2label": {"0": "a", "1": "b"}},
            ("--classes", "19"), r"has 2 classes, cityscapes19",
        ),
        ({}, ("--encoder", "resnet18"), "--architecture and --encoder are for a file of --layout smp"),
        ({}, ("--all-branches",), "--all-branches: is for --layout adaptsegnet"),
        ({}, ("--layout", "smp"), "does not say which network it is"),
    ],
)  # fmt: skip
def test_what_cannot_be_imported(
    segshift: Segshift, tmp_path: Path, config: Any, options: tuple[str, ...], message: str
) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    layout = () if "--layout" in options else ("--layout", "transformers")
    outcome = segshift("import-weights", folder, *layout, "--out", tmp_path / "m.safetensors", *options)
    assert message in outcome.refusal()


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        import_network(tmp_path / "none", "smp")
