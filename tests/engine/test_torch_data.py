"""Torch data sets of one's own: written as folders, trained on, evaluated on, adapted to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

import segshift
from segshift.data.dataset import SegmentationDataset
from segshift.data.resolve import resolve
from segshift.documents import parse_yaml_value
from segshift.engine.processes import Processes, training_on
from segshift.errors import InputError

from ..models.networks import tiny

SMALL = [
    "model.backbone=segshift_tiny",
    "model.weights=none",
    "model.output_stride=8",
    "training.steps=2",
    "training.batch_size=2",
    "training.workers=0",
]


class Squares(Dataset[tuple[Tensor, Tensor]]):
    """A bright square on gray, of float images and int64 labels as torchvision's data sets give them."""

    classes = ("ground", "square")

    def __init__(self, brightness: float = 1.0, count: int = 4) -> None:
        self.brightness, self.count = brightness, count
        self.drawn: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.drawn.append(index)
        image = torch.full((3, 32, 48), round(60 * self.brightness) / 255)
        label = torch.zeros(32, 48, dtype=torch.long)
        image[:, 4 : 12 + index, 8:24] = round(250 * self.brightness) / 255
        label[4 : 12 + index, 8:24] = 1
        label[0, 0] = 255
        return image, label


def items(path: Path, split: str = "train") -> SegmentationDataset:
    found = resolve(f"{path}:{split}")
    return SegmentationDataset(found, found.classes)


def test_what_is_written_is_what_the_data_set_gives_and_written_once(tmp_path: Path) -> None:
    data = Squares()
    path = segshift.write_dataset(data, tmp_path / "squares")
    written = items(path)
    assert len(written) == 4 and written.classes.names == Squares.classes
    for index in range(4):
        image, label = data[index]
        assert torch.equal(written[index].image, (255 * image).round().byte())
        assert written[index].label is not None and torch.equal(written[index].label, label.byte())
    data.drawn.clear()
    assert segshift.write_dataset(data, tmp_path / "squares") == path and data.drawn == []


@pytest.mark.parametrize(
    "element",
    [
        (np.full((4, 6, 3), 200, np.uint8), np.ones((4, 6), np.int32)),
        (Image.new("RGB", (6, 4), (200, 200, 200)), Image.new("L", (6, 4), 1)),
        {"image": torch.full((3, 4, 6), 200, dtype=torch.uint8), "label": torch.ones(1, 4, 6).long()},
        (torch.full((3, 4, 6), 200 / 255), torch.ones(4, 6, dtype=torch.bool)),
    ],
    ids=["arrays", "pil", "mapping", "floats"],
)
def test_elements_of_every_form_are_the_same_image_and_label(element: Any, tmp_path: Path) -> None:
    written = items(segshift.write_dataset([element], tmp_path / "one", ["a", "b"]))[0]
    assert written.label is not None
    assert torch.equal(written.image, torch.full((3, 4, 6), 200, dtype=torch.uint8))
    assert torch.equal(written.label, torch.ones(4, 6, dtype=torch.uint8))


IMAGE = np.zeros((4, 6, 3), np.uint8)
REFUSED: dict[str, tuple[Any, str]] = {
    "label -100": (
        [(IMAGE, np.full((4, 6), -100))],
        "element 0 .* holds -100; train ids are 0 to 254",
    ),
    "label of floats": ([(IMAGE, np.zeros((4, 6)))], r"label is float64 of shape \(4, 6\)"),
    "label of channels": ([(IMAGE, np.zeros((2, 4, 6), int))], r"of shape \(2, 4, 6\); give \(H, W\)"),
    "id outside": ([(IMAGE, np.full((4, 6), 2))], "holds 2, but there are 2 classes"),
    "no label": ([(IMAGE, np.zeros((4, 6), np.uint8)), IMAGE], "element 1 .* has no label"),
    "other size": ([(IMAGE, np.zeros((6, 4), np.uint8))], "label is 4 x 6 pixels, its image 6 x 4"),
    "normalised": (
        [(IMAGE.astype(float) - 1, np.zeros((4, 6), int))],
        "element 0 .* before any norm",
    ),
    "empty": ([], "has no elements"),
    "stream": (iter([IMAGE]), "neither the name of a data set nor a torch data set"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_elements_are_one_line(name: str, tmp_path: Path) -> None:
    data, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        segshift.write_dataset(data, tmp_path / "out", ["a", "b"])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "dataset.yaml").exists()


def test_another_data_set_in_the_same_folder_and_missing_classes_are_refused(tmp_path: Path) -> None:
    segshift.write_dataset(Squares(), tmp_path / "data")
    with pytest.raises(InputError, match="elements is 4 there, not 3"):
        segshift.write_dataset(Squares(count=3), tmp_path / "data")
    with pytest.raises(InputError, match="does not say its classes"):
        segshift.write_dataset([(IMAGE, IMAGE[:, :, 0])], tmp_path / "other")


def test_train_on_torch_data_sets_never_writes_the_targets_labels(tmp_path: Path) -> None:
    run = tmp_path / "run"
    domains: dict[str, Any] = {"source": Squares(), "target": Squares(0.5), "evaluation": Squares(0.5)}
    results = segshift.train("mean_teacher", run, settings=SMALL, device="cpu", **domains)
    assert results["source"] == results["target"] == "Squares train (4 images)"
    assert results["evaluated_on"] == "Squares val (4 images)" and not results["uses_target_labels"]
    assert not list((run / "data" / "target").rglob("labels"))
    # The network, its folder, and all ways to name the data set give the score of the run.
    network = segshift.load(run)
    expected = results["evaluation"]["miou"]
    for model, data in (
        (network, Squares(0.5)),
        (run, Squares(0.5)),
        (str(run), f"{run / 'data' / 'evaluation' / 'dataset.yaml'}:val"),
        ([network, run], [Squares(0.5)[index] for index in range(4)]),
    ):
        assert segshift.evaluate(model, data).miou == pytest.approx(expected, abs=1e-12)
    # Finished: the same call answers from the folder, also with the settings as a mapping.
    assert segshift.train("mean_teacher", run, settings=SMALL, **domains) == results
    mapping = {key: parse_yaml_value(value, key) for key, value in (one.split("=") for one in SMALL)}
    assert segshift.train("mean_teacher", run, settings=mapping, **domains) == results


def test_a_wrong_recipe_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean `advent`"):
        segshift.train("advnt", tmp_path / "run", source=Squares())
    with pytest.raises(InputError, match=r"source.dataset: none"):
        segshift.train("adapt_tent", tmp_path / "run", target=Squares())
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_there_and_one_that_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device cuda:77: "):
        segshift.train("source_only", tmp_path / "run", source=Squares(), settings=SMALL, device="cuda:77")
    for device in ("cpu", "meta", "cpu"):
        with training_on(device):
            assert Processes.join().device == torch.device(device)


PICTURES: dict[str, Callable[[], Any]] = {
    "data set": lambda: Squares(0.5),
    "tensor": lambda: torch.rand(3, 3, 32, 48),
    "array": lambda: np.zeros((2, 32, 48, 3), np.uint8),
    "one": lambda: Image.new("RGB", (48, 32)),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_adapt_takes_images_themselves(kind: str, tmp_path: Path) -> None:
    pictures = PICTURES[kind]()
    network = tiny(input_size=(48, 32))
    adapted = segshift.adapt(network, pictures, tmp_path / "run", method="adabn", device="cpu")
    count = {"data set": 4, "tensor": 3, "array": 2, "one": 1}[kind]
    assert len(list((tmp_path / "run" / "images" / "images" / "train").iterdir())) == count
    assert adapted.segmenter.class_names == network.class_names


def test_evaluate_compares_classes_by_name_and_refuses_others() -> None:
    with pytest.raises(InputError, match="the model's classes are road, car, sky, person"):
        segshift.evaluate(tiny(), Squares())
    with pytest.raises(InputError, match="image 0 has no label"):
        segshift.evaluate(tiny(), [torch.rand(3, 8, 8)])
    with pytest.raises(InputError, match="is no data set"):
        segshift.evaluate(tiny(), "nowhere")
