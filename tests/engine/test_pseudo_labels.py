"""Pseudo labels as a data set: content, resuming, refusals, and as a stage of a recipe."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segshift.config import parse
from segshift.data.dataset import SegmentationDataset
from segshift.data.finder import Sample
from segshift.data.labels import class_set
from segshift.data.resolve import resolve
from segshift.engine import pseudo_labels
from segshift.engine.pseudo_label_folder import PseudoLabelFolder, check_pseudo_labels
from segshift.engine.pseudo_labels import PseudoLabelConfig, write_pseudo_labels
from segshift.errors import InputError, StoppedError
from segshift.evaluation import Inference
from segshift.models.loading import load
from segshift.models.segmenter import Segmenter, SegmenterConfig
from segshift.progress import SILENT
from tests.conftest import write_toy_dataset
from tests.engine.recipes import toy_recipe
from tests.engine.runs import assert_same_bits, run, weights

NAMES = ("sky", "ground", "box")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random, but spread confidences."""
    torch.manual_seed(0)
    config = SegmenterConfig(backbone="segshift_tiny", weights="none", input_size=(40, 32))
    segmenter = Segmenter(config, class_set(NAMES)).eval()
    with torch.no_grad():
        for parameter in segmenter.head.parameters():
            parameter.mul_(40)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    segmenter.save(path)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Images whose label files cannot be read: who opens one fails."""
    path = write_toy_dataset(tmp_path / "target", size=(56, 40), seed=1)
    for file in (tmp_path / "target" / "labels").rglob("*.png"):
        file.write_bytes(b"not a label")
    return path


def samples(target: Path, split: str = "train") -> tuple[Sample, ...]:
    return resolve(str(target), split, labels="unused").samples


def settings(**changes: Any) -> PseudoLabelConfig:
    return parse(PseudoLabelConfig, {"batch_size": 2, **changes}, "settings")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(model: Path, target: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    return write_pseudo_labels(model, samples(target), settings(**changes), folder, SILENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "none"},
        {"rule": "confidence", "threshold": 0.6, "size": [48, 40]},
        {"rule": "class_threshold", "threshold": 0.8},
        {"rule": "class_balanced", "portion": 0.3, "scales": [0.8, 1.2], "flip": True},
        {"rule": "class_balanced", "window": [24, 24]},
    ],
    ids=lambda changes: str(changes["rule"]),
)
def test_labels_are_the_networks_own_and_the_summary_counts_them(
    model: Path, target: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    summary = write(model, target, out, **changes)
    split = resolve(str(out / "dataset.yaml"), "train")
    assert split.classes.names == NAMES and split.classes.colors == load(model).classes.colors
    originals = [sample.image for sample in samples(target)]
    assert [sample.image.resolve() for sample in split.samples] == originals
    dataset = SegmentationDataset(split, split.classes)
    kept, predicted = np.zeros(3, int), np.zeros(3, int)
    segmenter = load(model)
    for index in range(len(dataset)):
        item = dataset[index]
        assert item.label is not None and item.label.shape == item.image.shape[1:] == (40, 56)
        with torch.inference_mode():
            inference = Inference(
                window=changes.get("window"),
                input_size=tuple(changes.get("size", (40, 32))),
                scales=changes.get("scales", (1.0,)),
                flip=changes.get("flip", False),
            )
            probs = inference.probabilities([segmenter], item.image[None], (40, 56))[0]
        valid = item.label != 255
        if changes["rule"] != "class_balanced":
            assert torch.equal(probs.argmax(0)[valid].byte(), item.label[valid])
        if changes["rule"] in ("none", "confidence"):
            assert torch.equal(valid, probs.amax(0) > (0 if changes["rule"] == "none" else 0.6))
        kept += np.bincount(item.label[valid].numpy(), minlength=3)
        given = torch.where(valid, item.label, probs.argmax(0).byte())
        predicted += np.bincount(given.flatten().numpy(), minlength=3)
    rows = summary["classes"]
    assert [rows[name]["kept_pixels"] for name in NAMES] == kept.tolist()
    assert np.abs(np.array([rows[name]["predicted_pixels"] for name in NAMES]) - predicted).max() <= 2
    assert all(row["kept_pixels"] <= row["predicted_pixels"] for row in rows.values())
    assert summary["kept_share"] == pytest.approx(kept.sum() / (6 * 40 * 56))
    assert summary["images"] == 6 and json.loads((out / "pseudo_labels.json").read_text()) == summary
    assert set(files(out)) == {
        "dataset.yaml",
        "train.txt",
        "pseudo_labels.json",
        *(f"labels/{index:03d}.png" for index in range(6)),
    }


@pytest.mark.parametrize("walk", ["confidences", "labels", "torn line", "end"])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    model: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, walk: str
) -> None:
    monkeypatch.setattr(pseudo_labels, "_SAVE_EVERY", 1)
    write(model, target, tmp_path / "whole")
    name = {"confidences": "save_histogram", "end": "finish"}.get(walk, "record")
    original = getattr(PseudoLabelFolder, name)
    calls: list[int] = []

    def killed(self: PseudoLabelFolder, *arguments: Any) -> Any:
        calls.append(1)
        if name == "finish":
            self._write_dataset(arguments[0].names, [])
            raise KeyboardInterrupt
        original(self, *arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PseudoLabelFolder, name, killed)
        with pytest.raises(KeyboardInterrupt):
            write(model, target, tmp_path / "out")
    assert not (tmp_path / "out" / "pseudo_labels.json").exists()
    if walk == "torn line":
        path = tmp_path / "out" / "progress.jsonl"
        path.write_text(path.read_text()[:-9])
    read: list[Path] = []
    reader = pseudo_labels.read_image
    monkeypatch.setattr(pseudo_labels, "read_image", lambda path: read.append(path) or reader(path))
    write(model, target, tmp_path / "out")
    # Two of three batches were done in the walk that was killed; a torn line loses one.
    assert len(read) == {"confidences": 2 + 6, "labels": 2, "torn line": 4, "end": 0}[walk]
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_a_signal_ends_it_after_the_batch_in_progress(
    model: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = PseudoLabelFolder.record

    def stopped(self: PseudoLabelFolder, *arguments: Any) -> None:
        original(self, *arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(PseudoLabelFolder, "record", stopped)
        with pytest.raises(StoppedError) as error:
            write(model, target, tmp_path / "out", rule="none")
    assert (error.value.signal_number, error.value.step) == (signal.SIGTERM, 2)
    assert write(model, target, tmp_path / "out", rule="none")["images"] == 6


def test_a_finished_folder_is_only_read(
    model: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(model, target, tmp_path / "out")
    monkeypatch.setattr(pseudo_labels, "load", lambda *_: pytest.fail("loaded the network"))
    assert write(model, target, tmp_path / "out", batch_size=5) == first
    # The images have moved: the data set finds them again.
    moved = tmp_path / "elsewhere" / "deep"
    shutil.move(target.parent, moved)
    assert write(model, moved / target.name, tmp_path / "out") == first
    split = resolve(str(tmp_path / "out" / "dataset.yaml"), "train")
    assert all(moved in sample.image.resolve().parents for sample in split.samples)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"portion": 0.4}, r"\(portion differ\)"), ({"flip": True}, r"\(flip differ\)"), ({}, "images differ")],
)
@pytest.mark.parametrize("finished", [True, False])
def test_another_run_in_the_folder_is_refused(
    model: Path,
    target: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    message: str,
    finished: bool,
) -> None:
    with monkeypatch.context() as patch:
        if not finished:
            patch.setattr(PseudoLabelFolder, "record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                write(model, target, tmp_path / "out", rule="class_balanced")
        else:
            write(model, target, tmp_path / "out")
    if not changes:
        Image.new("RGB", (56, 40)).save(target.parent / "images" / "train" / "003.png")
    before = files(tmp_path / "out")
    with pytest.raises(InputError, match=message) as error:
        write(model, target, tmp_path / "out", **changes)
    assert len(str(error.value).splitlines()) == 1
    assert files(tmp_path / "out") == before


def test_refusals_are_one_line(model: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("dear diary")
    with pytest.raises(InputError, match="holds other files"):
        write(model, target, tmp_path / "full")
    with pytest.raises(InputError, match="holds no model"):
        write(tmp_path / "gone", target, tmp_path / "out")
    with pytest.raises(InputError, match="no images to label"):
        write_pseudo_labels(model, (), settings(), tmp_path / "out", SILENT)
    for wrong in ({"portion": 0}, {"threshold": 1}, {"rule": "best"}, {"scales": []}, {"portoin": 1}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            settings(**wrong)
    odd = tmp_path / "odd [1]"
    shutil.copytree(target.parent, odd)
    with pytest.raises(InputError, match="copy_images: true"):
        write(model, odd / target.name, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert write(model, odd / target.name, tmp_path / "out", copy_images=True)["images"] == 6


def test_with_copies_the_folder_can_be_moved(model: Path, target: Path, tmp_path: Path) -> None:
    write(model, target, tmp_path / "out", rule="none", copy_images=True)
    originals = [sample.image.read_bytes() for sample in samples(target)]
    shutil.move(tmp_path / "out", tmp_path / "far" / "away")
    shutil.rmtree(target.parent)
    split = resolve(str(tmp_path / "far" / "away" / "dataset.yaml"), "train")
    assert [sample.image.read_bytes() for sample in split.samples] == originals
    assert SegmentationDataset(split, split.classes)[5].label is not None


def test_images_of_several_folders_sizes_and_suffixes(model: Path, target: Path, tmp_path: Path) -> None:
    images = target.parent / "images"
    with Image.open(images / "val" / "000.png") as image:
        image.resize((44, 36)).save(images / "val" / "photo.jpg")
    mixed = [*samples(target), *samples(target, "val")]
    mixed.append(Sample("photo", images / "val" / "photo.jpg", None))
    write_pseudo_labels(model, [*mixed, mixed[0]], settings(rule="none"), tmp_path / "out", SILENT)
    split = resolve(str(tmp_path / "out" / "dataset.yaml"), "train")
    assert [sample.image.resolve() for sample in split.samples] == [sample.image for sample in mixed]
    label = SegmentationDataset(split, split.classes)[12].label
    assert label is not None and label.shape == (36, 44)


def test_links_to_images_and_folders_are_followed(model: Path, target: Path, tmp_path: Path) -> None:
    links = tmp_path / "links" / "below"
    links.mkdir(parents=True)
    for sample in samples(target):
        (links / f"my_{sample.image.name}").symlink_to(sample.image)
    (tmp_path / "short").symlink_to(links)
    found = [Sample(path.stem, path, None) for path in sorted((tmp_path / "short").glob("*.png"))]
    write_pseudo_labels(model, found, settings(rule="none"), tmp_path / "out", SILENT)
    split = resolve(str(tmp_path / "out" / "dataset.yaml"), "train")
    assert [Path(sample.stem).name for sample in split.samples] == [f"my_{index:03d}" for index in range(6)]
    assert len(SegmentationDataset(split, split.classes)) == 6


def test_the_check_counts_right_pixels(model: Path, target: Path, tmp_path: Path) -> None:
    write(model, target, tmp_path / "out", portion=0.4)
    split = resolve(str(tmp_path / "out" / "dataset.yaml"), "train")
    given = [np.asarray(Image.open(sample.label)) for sample in split.samples if sample.label]
    generator = np.random.default_rng(0)
    truth = [generator.choice([0, 1, 2, 255], size=label.shape).astype(np.uint8) for label in given]
    found = check_pseudo_labels(tmp_path / "out", [torch.from_numpy(label) for label in truth], NAMES)
    both = (np.stack(given) != 255) & (np.stack(truth) != 255)
    right = np.stack(given) == np.stack(truth)
    assert found["accuracy"] == pytest.approx(right[both].mean()) and found["pixels"] == both.sum()
    for k, name in enumerate(NAMES):
        of_class = both & (np.stack(given) == k)
        expected = right[of_class].mean() if of_class.any() else None
        assert found["precision"][name] == (None if expected is None else pytest.approx(expected))
    assert found["uses_target_labels"] is True


STAGES: list[dict[str, Any]] = [
    {"name": "start"},
    {"name": "labels", "kind": "pseudo_label", "settings": {"portion": 0.5, "batch_size": 2}},
    {
        "name": "again",
        "changes": {
            "pseudo_labelled": {
                "dataset": "{labels}/dataset.yaml",
                "augmentation": {"resize": [40, 32]},
            }
        },
    },
    {
        "name": "fresh",
        "changes": {"init_from": None, "source": {"dataset": "{labels}/dataset.yaml", "split": "train"}},
    },
]


def test_stages_go_on_in_the_middle_of_pseudo_labels(
    toy_source: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = toy_recipe(
        toy_source,
        target,
        training={"steps": 2},
        evaluation={"dataset": str(toy_source), "input_size": [40, 32], "scales": [0.8, 1.0], "flip": True},
        stages=STAGES,
    )
    results = run(recipe, tmp_path / "whole")
    assert results["source"] == "pseudo-labels train (6 images)"
    original = PseudoLabelFolder.record

    def killed(self: PseudoLabelFolder, *arguments: Any) -> None:
        original(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PseudoLabelFolder, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "3_again").exists()
    resumed = run(recipe, tmp_path / "run")
    assert_same_bits(weights(tmp_path / "whole"), weights(tmp_path / "run"))
    monkeypatch.setattr(pseudo_labels, "load", lambda *_: pytest.fail("labelled again"))
    assert run(recipe, tmp_path / "run") == resumed


def test_a_stage_labels_the_subsets_of_the_target(model: Path, target: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("004\n")
    further = {"dataset": str(write_toy_dataset(tmp_path / "further", size=(40, 32)))}
    subsets = {"subset": {"first": 2}, "also": [{**further, "subset": {"list": str(chosen)}}]}
    recipe = toy_recipe(target, target, target=subsets, init_from=str(model))
    pseudo_labels.run_pseudo_label_stage(recipe, {}, tmp_path / "out", SILENT, "toy")
    images = [sample.image.resolve() for sample in samples(tmp_path / "out" / "dataset.yaml")]
    expected = [samples(target)[index] for index in (0, 1)] + [samples(Path(further["dataset"]))[4]]
    assert images == [sample.image.resolve() for sample in expected]


def test_a_stage_without_a_network_or_a_target_is_one_line(toy_source: Path, tmp_path: Path) -> None:
    alone = [{"name": "labels", "kind": "pseudo_label"}]
    with pytest.raises(InputError, match="stage labels: there is no network to label with"):
        run(toy_recipe(toy_source, toy_source, stages=alone), tmp_path / "run")
    with pytest.raises(InputError, match="stage labels: needs target images"):
        run(toy_recipe(toy_source, None, init_from="x", stages=alone), tmp_path / "run")
    wrong = [{**alone[0], "settings": {"rule": "class_blanced"}}]
    with pytest.raises(InputError, match="stage labels, settings: `rule` = 'class_blanced'"):
        run(toy_recipe(toy_source, toy_source, init_from="x", stages=wrong), tmp_path / "run")


def test_links_that_lead_nowhere_and_names_that_are_no_text(
    model: Path, target: Path, tmp_path: Path
) -> None:
    for name, leads_to in (("broken", tmp_path / "gone.png"), ("circle", Path("circle.png"))):
        image = tmp_path / f"{name}.png"
        image.symlink_to(leads_to)
        with pytest.raises(InputError, match=rf"{name}\.png: is a link to nothing"):
            write_pseudo_labels(
                model, [Sample(name, image, None)], PseudoLabelConfig(), tmp_path / "out", SILENT
            )
    assert not (tmp_path / "out").exists()
    latin = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    shutil.copyfile(samples(target)[0].image, latin)
    write_pseudo_labels(model, [Sample("x", latin, None)], PseudoLabelConfig(), tmp_path / "out", SILENT)
    assert [one.image.name for one in samples(tmp_path / "out" / "dataset.yaml")] == [latin.name]
