"""`segshift import-weights`, and what one does with its result."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import segshift as package
from segshift.cli.commands.import_weights import LAYOUTS
from segshift.models import public_checkpoints
from segshift.models.libraries import imported
from tests.cli.conftest import Segshift
from tests.models.public_networks import (
    Random,
    classifier_state,
    classify,
    prefixed,
    resnet_forward,
    resnet_state,
)

CLASSES = 19


@pytest.fixture(scope="module")
def clan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in CLAN's layout."""
    random = Random(0, counters=True)
    state = resnet_state(random)
    for name in ("layer5", "layer6"):
        state |= prefixed(classifier_state(random, CLASSES, 2048), f"{name}.")
    path = tmp_path_factory.mktemp("clan") / "clan.pth"
    torch.save(prefixed(state, "module."), path)
    return path


def test_the_option_names_what_can_be_imported() -> None:
    assert (*public_checkpoints.LAYOUTS, *imported.LIBRARIES) == LAYOUTS


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two noise images with labels of the 19 classes."""
    folder = tmp_path_factory.mktemp("streets")
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        image = generator.integers(0, 256, (40, 72, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"{name}.png")
        label = generator.integers(0, CLASSES, (40, 72), dtype=np.uint8)
        Image.fromarray(label).save(folder / f"{name}_label.png")
    path = folder / "dataset.yaml"
    path.write_text(
        "name: streets\nroot: .\nsplits:\n  val: {images: '?.png', labels: '{stem}_label.png'}\n"
        "classes: cityscapes19\nlabels: {kind: train_ids}\n"
    )
    return path


def test_an_imported_model_predicts_and_is_evaluated(
    segshift: Segshift, clan_file: Path, streets: Path, tmp_path: Path
) -> None:
    model = tmp_path / "clan.safetensors"
    options = ("--layout", "clan", "--out", model, "--input-size", "64x36", "--json")
    data = segshift("import-weights", clan_file, *options).json()
    assert data["model"] == str(model) and data["class_set"] == "cityscapes19"
    assert (data["backbone"], data["classifiers"], data["input_size"]) == ("caffe_resnet50", 2, [64, 36])
    # The whole way of the original: BGR minus the mean, both classifiers, bilinear up-sampling, argmax.
    state = {key.removeprefix("module."): value for key, value in torch.load(clan_file).items()}
    image = streets.with_name("a.png")
    small = package.models.network_input(
        torch.from_numpy(np.array(Image.open(image))).permute(2, 0, 1)[None], (64, 36)
    )
    pixels = 255 * small.flip(1) - torch.tensor([104.00698793, 116.66876762, 122.67891434]).view(1, 3, 1, 1)
    features = resnet_forward(state, pixels, caffe=True)[1]
    logits = classify(state, "layer5", features) + classify(state, "layer6", features)
    logits = torch.nn.functional.interpolate(logits, (40, 72), mode="bilinear", align_corners=True)
    expected = logits.argmax(1)[0].numpy()
    out = tmp_path / "out"
    segshift("predict", model, image, "--out", out, "--json").json()
    predicted = np.array(Image.open(out / "a_label.png"))
    assert (predicted == expected).mean() > 0.999 and len(np.unique(expected)) > 1
    scores = segshift("evaluate", model, "--data", streets, "--json").json()
    assert scores["images"] == 2 and 0 < scores["pixel_accuracy"] < 0.5


def test_it_says_what_it_wrote(segshift: Segshift, clan_file: Path, tmp_path: Path) -> None:
    outcome = segshift("import-weights", clan_file, "--layout", "clan", "--out", tmp_path / "m.safetensors")
    assert outcome.status == 0
    text = " ".join(outcome.out.split())
    assert "caffe_resnet50, two summed classifiers (dilations 6, 12, 18, 24), cityscapes19 (road," in text
    assert package.load(tmp_path / "m.safetensors").config.input_size == (1024, 512)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--layout", "deeplab"), "--layout deeplab: unknown; choose adaptsegnet, advent, clan, fada,"),
        (("--layout", "advent"), "it fits --layout clan"),
        (("--layout", "clan", "--classes", "16"), "have 19 classes, cityscapes16 has 16; give --classes 19"),
        (("--layout", "clan", "--classes", "21"), "--classes 21: no set of 21 classes"),
        (("--layout", "clan", "--classes", "cityscape19"), "did you mean"),
        (("--layout", "clan", "--input-size", "9"), "--input-size 9: write it as WIDTHxHEIGHT"),
        (("--layout", "clan", "--all-branches"), "clan sums all branches anyway"),
        (("--layout", "clan", "--out", "m.pth"), "--out m.pth: model files end in .safetensors"),
    ],
)
def test_refusals(
    segshift: Segshift, clan_file: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    out = () if "--out" in options else ("--out", tmp_path / "m.safetensors")
    assert message in segshift("import-weights", clan_file, *options, *out).refusal()
    assert list(tmp_path.iterdir()) == []
