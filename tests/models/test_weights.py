"""Initial weights from files."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from segshift.errors import InputError
from segshift.models.backbones import build_backbone
from segshift.models.weights import read_state


@pytest.fixture(scope="module")
def classifier() -> dict[str, Tensor]:
    torch.manual_seed(5)
    state: dict[str, Tensor] = timm.create_model("resnet18").state_dict()
    return state


def write(path: Path, state: dict[str, Tensor]) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("file", ["weights.pth", "weights.safetensors"])
def test_a_classifiers_file_fills_the_backbone(
    tmp_path: Path, classifier: dict[str, Tensor], file: str
) -> None:
    backbone = build_backbone("resnet18", str(write(tmp_path / file, classifier)), 8).network
    own = backbone.state_dict()
    assert own
    for key, value in own.items():
        torch.testing.assert_close(value, classifier[key], rtol=0, atol=0)


@pytest.mark.parametrize("prefix", ["module.", "module.backbone.", "_orig_mod.", "model."])
def test_what_wrappers_put_before_all_names_is_taken_off(
    tmp_path: Path, classifier: dict[str, Tensor], prefix: str
) -> None:
    state = {f"{prefix}{key}": value for key, value in classifier.items()}
    file = write(tmp_path / "w.pth", state)
    own = build_backbone("resnet18", str(file), 8).network.state_dict()
    torch.testing.assert_close(own["conv1.weight"], classifier["conv1.weight"], rtol=0, atol=0)


def test_weights_that_are_none_are_refused(tmp_path: Path, classifier: dict[str, Tensor]) -> None:
    for bad, message in (
        (classifier["conv1.weight"] * float("nan"), "NaN"),
        (classifier["conv1.weight"] > 0, "bool"),
    ):
        file = write(tmp_path / "w.pth", {**classifier, "conv1.weight": bad})
        with pytest.raises(InputError, match=f"w.pth: conv1.weight holds {message}"):
            build_backbone("resnet18", str(file), 8)


def test_names_that_timm_joins_are_found(tmp_path: Path) -> None:
    torch.manual_seed(6)
    state = timm.create_model("convnext_atto").state_dict()
    own = build_backbone("convnext_atto", str(write(tmp_path / "w.pth", state)), 16).network.state_dict()
    assert any(key not in state for key in own)
    for key, value in own.items():
        torch.testing.assert_close(value, state.get(key, state.get(key.replace("_", ".", 1))), rtol=0, atol=0)


def test_a_checkpoint_with_more_than_weights(tmp_path: Path, classifier: dict[str, Tensor]) -> None:
    torch.save({"epoch": 3, "state_dict": classifier}, tmp_path / "w.pth")
    assert read_state(tmp_path / "w.pth").keys() == classifier.keys()


def test_what_does_not_fit_is_listed_in_one_line(tmp_path: Path, classifier: dict[str, Tensor]) -> None:
    state = dict(classifier)
    del state["layer1.0.conv1.weight"]
    state["decoder.weight"] = torch.zeros(1)
    state["bn1.weight"] = torch.zeros(7)
    file = write(tmp_path / "w.pth", state)
    with pytest.raises(InputError) as caught:
        build_backbone("resnet18", str(file), 8)
    message = str(caught.value)
    assert "missing: layer1.0.conv1.weight;" in message
    assert "surplus: decoder.weight;" in message
    assert "of another shape: bn1.weight (7,) for (64,)" in message
    assert str(file) in message
    assert "fc.weight" not in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_broken_files(tmp_path: Path, classifier: dict[str, Tensor], name: str) -> None:
    file = write(tmp_path / name, classifier)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be read as weights"):
        read_state(file)
    file.write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read as weights"):
        read_state(file)


def test_something_else_than_a_state_dict(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "w.pth")
    with pytest.raises(InputError, match="holds no state dict"):
        read_state(tmp_path / "w.pth")
