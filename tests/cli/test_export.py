"""`segshift export`, what it writes, and what one does with it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import segshift as package
from segshift.documents import dump_yaml, read_yaml
from segshift.errors import InputError
from segshift.models.program import Program
from segshift.models.segmenter import Segmenter
from tests.cli.conftest import Segshift


def photo(folder: Path, size: tuple[int, int]) -> Path:
    path = folder / "photo.png"
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).resize((size[0] // 4, size[1] // 4)).resize(size).save(path)
    return path


def test_onnx_in_two_precisions(segshift: Segshift, trained: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    found = segshift("export", trained, "--precision", "fp32,int8", "--compare", 2, "--json").json()
    fp32, int8 = found["files"]
    assert [fp32["file"], int8["file"]] == ["model.onnx", "model_int8.onnx"]
    assert fp32["pixels"] >= 0.999 and fp32["difference"] < 0.02 * fp32["largest"]
    assert int8["pixels"] >= 0.9 and int8["megabytes"] < 0.5 * fp32["megabytes"]
    # 40x32 px is the size that the run was evaluated at, so that the scores are the run's.
    own = json.loads((trained / "results.json").read_text())["evaluation"]["miou"]
    assert found["input_size"] == [40, 32]
    assert found["network_miou"] == pytest.approx(own) and fp32["miou"] == pytest.approx(own, abs=0.002)
    assert int8["miou"] == pytest.approx(own, abs=0.1)

    folder = trained / "export"
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (image,) = session.get_inputs()
    assert (image.name, image.shape, image.type) == (
        "image", ["batch", 3, "height", "width"], "tensor(uint8)"
    )  # fmt: skip
    labels, confidence, _ = session.get_outputs()
    assert labels.shape == confidence.shape == ["batch", "height", "width"]
    assert (labels.type, confidence.type) == ("tensor(uint8)", "tensor(float)")
    network = package.load(trained)
    for size in ((61, 37), (200, 120)):
        path = photo(tmp_path, size)
        pixels = np.asarray(Image.open(path)).transpose(2, 0, 1)[None]
        ids, sure, _ = session.run(None, {"image": np.repeat(pixels, 3, axis=0)})
        expected = network.predict(path, probabilities=True)
        assert ids.shape == (3, size[1], size[0])
        assert (ids[2] == expected.ids).mean() > 0.999
        assert np.abs(sure[1] - expected.confidence).max() < 1e-2
        assert (package.load(folder / "model.onnx").predict(path) == ids[0]).mean() > 0.999

    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: segshift\n")
    for part in ("# toy", "sky, ground, box", "random initial weights", "## Intended use", "## Limits"):
        assert part in card
    assert f"mIoU {100 * own:.1f} on toy val (6 images)" in card
    assert "| `model_int8.onnx` | int8 |" in card
    summary = json.loads((folder / "export.json").read_text())
    assert {**summary, "sha256": None} == {**found, "sha256": None}
    assert summary["sha256"].keys() | {"export.json"} == {file.name for file in folder.iterdir()}


def test_an_onnx_file_is_evaluated_like_any_model(
    segshift: Segshift, trained: Path, toy_target: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    file = trained / "export" / "model.onnx"
    if not file.is_file():
        assert segshift("export", trained, "--compare", 1, "--score", 0).status == 0
    rows = segshift("evaluate", trained, file, "--data", f"{toy_target}:val", "--json").json()["results"]
    assert rows[0]["miou"] == pytest.approx(rows[1]["miou"], abs=0.002)
    assert rows[1]["uses_target_labels"] is False  # as the run that it lies in says
    refusal = segshift("evaluate", file, "--data", f"{toy_target}:val", "--scales", "1,1.3").refusal()
    assert "sees every image at 40x32 px" in refusal and "--size native" in refusal
    refusal = segshift("export", file).refusal()
    assert "is exported already" in refusal


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written")


def test_the_formats_of_pytorch(segshift: Segshift, trained: Path, written: Path, tmp_path: Path) -> None:
    command = ["export", trained, "--out", written, "--size", "native", "--compare", 2, "--score", 3]
    formats = "torchscript,torch-export,safetensors"
    found = segshift(*command, "--format", formats, "--precision", "fp32,fp16", "--json").json()
    files = {file["file"]: file for file in found["files"]}
    assert set(files) == {
        f"model{precision}.{suffix}"
        for precision in ("", "_fp16")
        for suffix in ("torchscript", "pt2", "safetensors")
    }
    assert files["model.safetensors"]["difference"] == 0 and files["model.safetensors"]["pixels"] == 1
    for suffix in ("torchscript", "pt2", "safetensors"):
        full, half = files[f"model.{suffix}"], files[f"model_fp16.{suffix}"]
        assert full["pixels"] >= 0.999 and half["pixels"] >= 0.99
        assert half["megabytes"] < 0.8 * full["megabytes"]
        assert full["miou"] == pytest.approx(found["network_miou"], abs=0.002)
    path = photo(tmp_path, (90, 70))
    how = package.Inference(input_size="native", window=(48, 32), scales=(0.75, 1.0), flip=True)
    expected = package.load(trained).predict(path, how)
    for name in ("model.torchscript", "model.pt2"):
        assert (package.load(written / name).predict(path, how) == expected).mean() > 0.999
    program = torch.jit.load(written / "model.torchscript")
    labels, confidence, _ = program(torch.zeros(1, 3, 33, 65, dtype=torch.uint8))
    assert labels.shape == confidence.shape == (1, 33, 65) and labels.dtype == torch.uint8


def test_nothing_but_the_segmenter_is_exported(
    segshift: Segshift, trained: Path, written: Path, tmp_path: Path
) -> None:
    if not (written / "model.safetensors").is_file():
        segshift("export", trained, "--out", written, "--format", "safetensors", "--score", 0)
    assert load_file(written / "model.safetensors").keys() == package.load(trained).state_dict().keys()
    again = Segmenter.from_pretrained(written)
    assert again.class_names == ("sky", "ground", "box")


def test_a_file_that_is_not_the_network_is_not_kept(
    segshift: Segshift, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Program.forward

    def wrong(self: Program, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        labels, confidence, logits = right(self, image)
        return labels.flip(-1), confidence, logits + 0.5

    monkeypatch.setattr(Program, "forward", wrong)
    refusal = segshift(
        "export", trained, "--format", "torchscript", "--out", tmp_path / "out", "--score", 0
    ).refusal()
    assert refusal.startswith("model.torchscript: is not the network: ") and "wanted: 99.9 %" in refusal
    # The other programs are as wrong; weights are no program.
    assert refusal.endswith("so it is not kept; use --format safetensors, which can hold it")
    assert list(tmp_path.iterdir()) == []  # nothing half written, and no folder either


def test_a_run_that_is_not_finished(segshift: Segshift, trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / "config.yaml", tmp_path)
    refusal = segshift("export", tmp_path).refusal()
    assert refusal.startswith(
        f"{tmp_path}: is not finished, so that there is no network to export; go on with"
    )
    assert f"--out {tmp_path} --resume`, or export RUN@STEP" in refusal


def test_other_files_are_not_replaced(segshift: Segshift, trained: Path, tmp_path: Path) -> None:
    refusal = segshift("export", trained, "--format", "safetensors", "--out", trained).refusal()
    assert f"{trained}: holds " in refusal and "is not of an export" in refusal


def test_a_program_is_no_network_to_train(trained: Path, written: Path) -> None:
    file = written / "model.torchscript"
    if not file.is_file():
        pytest.skip("written by another test of this file")
    program = package.load(file)
    for use in (program.state_dict, lambda: program.save("x.safetensors"), lambda: program.__deepcopy__({})):
        with pytest.raises(InputError, match="cannot be trained, copied or exported"):
            use()
    with pytest.raises(InputError, match="gives no features"):
        _ = program.feature_channels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "tflite"], "--format tflite: 'tflite' is unknown; choose onnx, torch-export"),
        (["--format", "torchscript", "--precision", "int8"], "--precision int8: exists as ONNX alone"),
        (["--precision", "fp8"], "--precision fp8: 'fp8' is unknown"),
        (["--size", "big"], "--size big: write it as WIDTHxHEIGHT"),
        (["--format", "torchscript", "--images", "gone"], "gone"),
        (["--format", "torchscript", "--data", "gone.yaml"], "gone.yaml"),
    ],
)
def test_refusals(segshift: Segshift, trained: Path, options: list[str], message: str) -> None:
    assert message in segshift("export", trained, *options).refusal()


def test_a_file_without_a_run_needs_images(
    segshift: Segshift, trained: Path, toy_target: Path, tmp_path: Path
) -> None:
    package.load(trained).save(tmp_path / "model.safetensors")
    command = ["export", tmp_path / "model.safetensors", "--format", "torchscript"]
    assert "give --images FOLDER" in segshift(*command).refusal()
    done = segshift(*command, "--images", toy_target.parent / "images" / "val")
    assert done.status == 0 and "mIoU is not known" in done.out
    card = (tmp_path / "export" / "README.md").read_text()
    assert "Not known: this network was exported from a file" in card
    assert "Nobody has measured this network" in card


def test_the_card_names_the_trainings_before(segshift: Segshift, trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "second"
    shutil.copytree(trained, run)
    config = read_yaml(run / "config.yaml")
    (run / "config.yaml").write_text(dump_yaml(config | {"init_from": str(trained)}))
    assert segshift("export", run, "--format", "torchscript").status == 0
    card = (run / "export" / "README.md").read_text()
    steps = config["training"]["steps"]
    assert f"- Started from: {trained.name} (method: none, labelled images alone; {steps} steps)" in card
    assert f"- started from the segshift model {trained.name}\n" in card


def test_foreign_and_broken_programs_are_one_line(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    for name in ("model.onnx", "model.pt2", "model.torchscript", "model.ts"):
        with pytest.raises(InputError, match="no such file"):
            package.load(tmp_path / name)
        (tmp_path / name).write_bytes(b"no program")
        with pytest.raises(InputError, match="cannot be opened as a program"):
            package.load(tmp_path / name)
    traced = torch.jit.trace(torch.nn.ReLU(), torch.zeros(1))
    torch.jit.save(traced, tmp_path / "model.torchscript")
    with pytest.raises(InputError, match="has no description by segshift"):
        package.load(tmp_path / "model.torchscript")
