"""Networks of other libraries and one's own: the libraries' own logits, methods on them, model files."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segshift.config import parse
from segshift.errors import InputError
from segshift.methods import Batch, build_method
from segshift.models import Segmenter, SegmenterConfig, load
from segshift.models.libraries import own
from tests.models.networks import CLASSES

C = CLASSES.count
SEGFORMER = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16}
OWN = """
import torch
from torch import nn

class Two(nn.Module):
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

    def __init__(self, classes, features=True, width=6):
        super().__init__()
        convolution = nn.Conv2d(3, width, 3, stride=4, padding=1)
        self.body = nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU())
        self.classifier = nn.Conv2d(width, classes, 1)
        self.features = features

    def forward(self, x):
        f = self.body(x)
        return (self.classifier(f), f) if self.features else self.classifier(f)

def build(classes, **settings):
    return Two(classes, **settings)

def logits_alone(classes):
    return Two(classes, features=False)

def wrong_number(classes):
    return Two(classes + 1)

def no_module(classes):
    return classes

def broken(classes):
    raise KeyError("no such thing")

def text(classes):
    return nn.Sequential(nn.Flatten())
"""


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def segmenter(**settings: Any) -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(parse(SegmenterConfig, {"weights": "none", **settings}, "model"), CLASSES)


def networks(own_file: Path) -> dict[str, dict[str, Any]]:
    pytest.importorskip("segmentation_models_pytorch", reason="the extra `smp` is not installed")
    pytest.importorskip("transformers", reason="the extra `transformers` is not installed")
    return {
        "smp": {"library": "smp", "architecture": "Unet", "encoder": "resnet18"},
        "mit": {"library": "smp", "architecture": "Segformer", "encoder": "mit_b0"},
        "hf": {"library": "transformers", "architecture": "Segformer", "settings": SEGFORMER},
        "own": {"module": f"{own_file}:build", "settings": {"width": 8}},
    }


def batch() -> Batch:
    torch.manual_seed(1)
    labels = torch.randint(0, C, (2, 64, 96))
    return Batch(torch.rand(2, 3, 64, 96), labels, torch.rand(2, 3, 64, 96), step=0, progress=0.0)


@pytest.mark.parametrize("which", ["smp", "mit", "hf", "own"])
def test_methods_files_and_odd_sizes(which: str, own_file: Path, tmp_path: Path) -> None:
    network = segmenter(**networks(own_file)[which])
    for method in (
        {"name": "align", "terms": [{"term": "mean_teacher"}]},
        {"name": "align", "terms": [{"term": "advent"}]},
        {"name": "align", "terms": [{"term": "fada"}]},
        {"name": "align", "terms": [{"term": "feature_alignment"}]},
    ):
        built = build_method(method, network).train()
        parameters = list(network.parameters())
        for update in built.step(batch()):
            sum(update.losses.values()).backward()
        assert sum(p.grad is not None for p in parameters) > 0.7 * len(parameters)
        built.zero_grad()
    network.eval().save(tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors")
    images = torch.rand(1, 3, 70, 101)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(images).logits, network(images).logits)
    assert loaded.predict((255 * images[0]).byte()).shape == (70, 101)
    assert loaded.pixel_statistics == network.pixel_statistics


def assert_equal_logits(ours: Segmenter, theirs: Tensor, images: Tensor) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval()(images).logits, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", ["Unet", "FPN", "DeepLabV3Plus", "UPerNet"])
def test_smp_checkpoints_give_smps_logits(architecture: str, tmp_path: Path) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch", reason="the extra `smp` is not installed")
    torch.manual_seed(3)
    theirs = getattr(smp, architecture)("resnet18", encoder_weights=None, classes=C).eval()
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "a.pth")
    theirs.save_pretrained(tmp_path / "folder")
    images = torch.rand(1, 3, 64, 96)
    expected = theirs(images).detach()
    for weights in ("a.pth", "folder"):
        ours = segmenter(
            library="smp", architecture=architecture, encoder="resnet18", weights=str(tmp_path / weights)
        )
        assert_equal_logits(ours, expected, images)
    assert ours.pixel_statistics.mean == (0.485, 0.456, 0.406)


def test_a_hugging_face_folder_gives_its_logits(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra `transformers` is not installed")
    torch.manual_seed(3)
    config = transformers.SegformerConfig(**SEGFORMER, num_labels=C)
    theirs = transformers.SegformerForSemanticSegmentation(config).eval()
    theirs.save_pretrained(tmp_path / "hf")
    (tmp_path / "hf" / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2]}'
    )
    images = torch.rand(1, 3, 70, 101)
    ours = segmenter(library="transformers", architecture="Segformer", weights=str(tmp_path / "hf"))
    assert_equal_logits(ours, theirs(images).logits.detach(), images)
    assert ours.pixel_statistics.mean == (0.5, 0.4, 0.3)
    assert ours.config.settings["hidden_sizes"] == SEGFORMER["hidden_sizes"]


def test_upernet_of_transformers() -> None:
    transformers = pytest.importorskip("transformers", reason="the extra `transformers` is not installed")
    backbone = {"model_type": "convnext", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32]}
    backbone["out_features"] = ["stage1", "stage2", "stage3", "stage4"]
    settings = {"backbone_config": backbone, "hidden_size": 16, "use_auxiliary_head": False}
    ours = segmenter(library="transformers", architecture="UperNet", settings=settings)
    torch.manual_seed(0)
    theirs = transformers.UperNetForSemanticSegmentation(
        transformers.UperNetConfig(**settings, num_labels=C)
    ).eval()
    images = torch.rand(1, 3, 64, 96)
    output = ours.eval()(images)
    up = nn.functional.interpolate(output.logits, size=(64, 96), mode="bilinear", align_corners=False)
    torch.testing.assert_close(up, theirs(images).logits, rtol=1e-5, atol=1e-5)
    assert output.features.shape == (1, 32, 2, 3)


def test_two_classifiers_of_another_library(own_file: Path) -> None:
    for which in ("smp", "hf"):
        network = segmenter(**networks(own_file)[which], classifiers=2)
        first, second = network(torch.rand(2, 3, 64, 64)).head_logits
        assert not torch.equal(first, second)
        build_method({"name": "align", "terms": [{"term": "clan"}]}, network)
    with pytest.raises(InputError, match=r"classifiers = 2: .*own.py:build has one"):
        segmenter(module=f"{own_file}:build", classifiers=2)


def test_a_module_is_what_it_says(own_file: Path) -> None:
    network = segmenter(module=f"{own_file}:build")
    assert network.feature_channels == 6 and network.pixel_statistics.mean == (0.5, 0.5, 0.5)
    assert network(torch.rand(1, 3, 32, 32)).features.shape == (1, 6, 8, 8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", r"own.py has no function 'nothing'"),
        ("wrong_number", rf"gives {C + 1} classes instead of {C}"),
        ("no_module", r"returns int, not a torch.nn.Module"),
        ("broken", r"cannot be built \('no such thing'\)"),
        ("text", r"gives Tensor instead of logits"),
    ],
)
def test_modules_that_are_no_networks(own_file: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        segmenter(module=f"{own_file}:{name}")
    assert "\n" not in str(caught.value)


def test_a_method_that_needs_features_says_so(own_file: Path) -> None:
    network = segmenter(module=f"{own_file}:logits_alone")
    build_method({"name": "align", "terms": [{"term": "mean_teacher"}]}, network)
    for term in ("fada", "feature_alignment"):
        with pytest.raises(InputError, match=rf"{term}: .*own.py:logits_alone gives no features"):
            build_method({"name": "align", "terms": [{"term": term}]}, network)
    with pytest.raises(InputError, match="gives no features"):
        build_method({"name": "lsd"}, network)


def test_loading_a_model_does_not_run_code_unasked(
    own_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.safetensors"
    segmenter(module=f"{own_file}:build").save(path)
    load(path)  # this process has run it already
    monkeypatch.setattr(own, "_TRUSTED", set())
    with pytest.raises(InputError, match=r"its network is code in .*own.py:build.*trust_code=True"):
        load(path)
    load(path, trust_code=True)
    monkeypatch.setattr(own, "_TRUSTED", set())
    monkeypatch.setenv("SEGSHIFT_TRUST_CODE", "1")
    load(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"library": "smp"}, "needs `architecture: NAME`"),
        ({"library": "smp", "architecture": "Unett"}, "did you mean `Unet`"),
        ({"library": "smp", "architecture": "Unet", "encoder": "resnet1"}, "cannot be built"),
        ({"library": "smp", "architecture": "Unet", "settings": {"wings": 2}}, "no such setting"),
        (
            {"library": "smp", "architecture": "Unet", "settings": {"decoder_channel": [1]}},
            "did you mean `decoder_channels`",
        ),
        ({"library": "smp", "architecture": "Unet", "auxiliary_head": True}, "auxiliary_head"),
        ({"library": "transformers", "architecture": "Mask2Former"}, "masks with classes, not dense logits"),
        ({"library": "transformers", "architecture": "Segformer", "weights": "imagenet"}, "nvidia/mit-b0"),
        ({"library": "keras", "architecture": "Unet"}, "library"),
        ({"module": "own.py"}, "module"),
        ({"module": "a.py:b", "library": "smp", "architecture": "Unet"}, "two networks"),
        ({"settings": {"a": 1}}, "settings"),
        ({"module": "no/such.py:build"}, "no such file"),
    ],
)
def test_bad_configurations(settings: dict[str, Any], message: str) -> None:
    pytest.importorskip("segmentation_models_pytorch", reason="the extra `smp` is not installed")
    pytest.importorskip("transformers", reason="the extra `transformers` is not installed")
    with pytest.raises(InputError, match=message) as caught:
        segmenter(**settings)
    assert "\n" not in str(caught.value)


def test_a_presets_own_network_is_set_aside() -> None:
    config = parse(
        SegmenterConfig,
        {"backbone": "resnet18", "output_stride": 16, "library": "smp", "architecture": "Unet"},
        "model",
    )
    assert config.title() == "smp Unet on resnet34" and config.output_stride is None
