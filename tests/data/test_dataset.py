"""Items and batches, alone and through DataLoader workers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from segshift.data.augmentation import Augmentation, ColorJitter
from segshift.data.dataset import Collated, Item, SampleError, SegmentationDataset, collate
from segshift.data.labels import IGNORE, class_set
from segshift.data.resolve import resolve
from segshift.data.sampler import Draw, StepSampler, UniformOrder
from segshift.data.spec import Split, load_dataset
from segshift.errors import InputError
from tests.data.files import (
    CLASSES,
    HEIGHT,
    WIDTH,
    assert_one_line,
    dataset,
    huge_png,
    ids,
    pixels,
    save,
    truncated,
)


def load(folder: Path, split: str = "train", **changes: object) -> Split:
    return load_dataset(dataset(folder, **changes)).split(split)


def whole(split: Split, **arguments: object) -> SegmentationDataset:
    return SegmentationDataset(split, split.classes, **arguments)


def test_an_item_is_the_files_bytes(tmp_path: Path) -> None:
    data = whole(load(tmp_path))
    assert len(data) == 3
    item = data[1]
    assert item.index == 1
    assert item.image.dtype == torch.uint8
    assert np.array_equal(item.image.permute(1, 2, 0).numpy(), pixels(1))
    assert item.label is not None
    assert item.label.dtype == torch.uint8
    assert np.array_equal(item.label.numpy(), ids(1))
    with pytest.raises(IndexError):
        data[3]


def test_labels_are_mapped_to_the_classes_asked_for(tmp_path: Path) -> None:
    split = load(tmp_path)
    item = SegmentationDataset(split, class_set(["person", "floor"]))[0]
    assert item.label is not None
    table = {0: 1, 1: IGNORE, 2: 0}
    assert item.label.tolist() == [[table[int(value)] for value in row] for row in ids(0)]


def test_classes_that_the_split_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        SegmentationDataset(load(tmp_path), class_set(["floor", "sea"]))
    assert_one_line(caught.value, "warehouse (floor, rack, person)", "sea")


def test_without_labels_no_label_file_is_opened(tmp_path: Path) -> None:
    split = load(tmp_path)
    for sample in split.samples:
        assert sample.label is not None
        sample.label.write_bytes(b"not to be read")
    data = whole(split, with_labels=False)
    assert data[0].label is None
    assert collate([data[0], data[1]]).labels is None


def test_an_unlabelled_split_is_a_target_only(tmp_path: Path) -> None:
    split = load(tmp_path, splits={"train": {"images": "rgb/train/*.png"}})
    assert whole(split, with_labels=False)[0].label is None
    with pytest.raises(InputError) as caught:
        whole(split)
    assert_one_line(caught.value, "warehouse:train has no labels", "`splits.train.labels`")


def test_an_index_resizes_and_a_draw_augments(tmp_path: Path) -> None:
    augmentation = Augmentation(
        resize=(9, 7), crop=(5, 4), flip=True, color_jitter=ColorJitter(brightness=0.5)
    )
    data = whole(load(tmp_path), augmentation=augmentation)
    assert data[0].image.shape == (3, 7, 9)
    drawn = [data[Draw(0, seed)] for seed in (1, 1, 2)]
    assert drawn[0].image.shape == (3, 4, 5)
    assert torch.equal(drawn[0].image, drawn[1].image)
    assert not torch.equal(drawn[0].image, drawn[2].image)


def test_batches_stack(tmp_path: Path) -> None:
    data = whole(load(tmp_path))
    batch = collate([data[2], data[0]])
    assert batch.images.shape == (2, 3, HEIGHT, WIDTH)
    assert batch.labels is not None
    assert batch.labels.shape == (2, HEIGHT, WIDTH)
    assert batch.indices.tolist() == [2, 0]
    assert torch.equal(batch.images[0], data[2].image)


def test_images_of_different_sizes_name_the_remedy() -> None:
    items = [Item(torch.zeros(3, 4, width, dtype=torch.uint8), None, 0) for width in (5, 6)]
    with pytest.raises(InputError) as caught:
        collate(items)
    assert_one_line(caught.value, "5 x 4, 6 x 4", "`resize` or `crop`")


def bad_files(folder: Path) -> dict[str, list[str]]:
    """Broken variants of sample 1 of a data set, with what the message must hold."""
    image, label = folder / "rgb/train/001.png", folder / "mask/train/001_id.png"
    return {
        "truncated image": [str(image), "truncated"],
        "truncated label": [str(label), "truncated"],
        "float image": [str(image), "mode F"],
        "alpha": [str(image), "transparency"],
        "bomb": [str(image), "100000 x 100000"],
        "label of another size": [str(label), str(image), "7 x 8 pixels", "12 x 8"],
        "id outside the map": [str(label), "id 9", "100.00%", "warehouse.yaml", "`labels.map`"],
        "vanished": [str(label), "no such file"],
    }


def spoil(folder: Path, how: str) -> None:
    image, label = folder / "rgb/train/001.png", folder / "mask/train/001_id.png"
    if how == "truncated image":
        truncated(image)
    elif how == "truncated label":
        truncated(label, color=False)
    elif how == "float image":
        Image.fromarray(np.zeros((HEIGHT, WIDTH), np.float32)).save(image, format="TIFF")
    elif how == "alpha":
        save(image, np.zeros((HEIGHT, WIDTH, 4), np.uint8))
    elif how == "bomb":
        huge_png(image)
    elif how == "label of another size":
        save(label, ids(1, width=7))
    elif how == "id outside the map":
        save(label, np.full((HEIGHT, WIDTH), 9, np.uint8))
    else:
        label.unlink()


@pytest.mark.parametrize("how", list(bad_files(Path())))
def test_bad_files_are_one_line(tmp_path: Path, how: str) -> None:
    split = load(tmp_path, labels={"other": "error"})
    spoil(tmp_path, how)
    data = whole(split)
    assert data[0].label is not None
    with pytest.raises(InputError) as caught:
        data[1]
    assert_one_line(caught.value, *bad_files(tmp_path)[how])


@pytest.mark.process
def test_a_bad_file_is_one_line_out_of_a_worker(tmp_path: Path) -> None:
    split = load(tmp_path)
    spoil(tmp_path, "truncated image")
    loader = DataLoader(whole(split), batch_size=3, num_workers=1, collate_fn=collate)
    with pytest.raises(InputError) as caught:
        list(loader)
    assert_one_line(caught.value, *bad_files(tmp_path)["truncated image"])
    assert "Traceback" not in str(caught.value)


@pytest.mark.process
def test_different_sizes_are_one_line_out_of_a_worker(tmp_path: Path) -> None:
    split = load(tmp_path)
    save(tmp_path / "rgb/train/001.png", pixels(0, 5, 5))
    loader = DataLoader(whole(split, with_labels=False), batch_size=3, num_workers=1, collate_fn=collate)
    with pytest.raises(InputError) as caught:
        list(loader)
    assert_one_line(caught.value, "5 x 5, 12 x 8", "`resize` or `crop`")


def test_a_message_that_is_no_traceback_is_kept_as_one_line() -> None:
    assert str(SampleError("one\ntwo")) == "one two"


@pytest.mark.process
def test_batches_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    augmentation = Augmentation(
        resize=(20, 14),
        scale=(0.5, 2),
        crop=(8, 8),
        flip=True,
        color_jitter=ColorJitter(contrast=0.5, hue=0.2),
    )
    data = whole(load(tmp_path), augmentation=augmentation)

    def batches(workers: int, seed: int) -> list[Collated]:
        torch.manual_seed(workers)
        sampler = StepSampler(UniformOrder(len(data), seed), 4, seed, steps=5)
        loader: DataLoader[Item] = DataLoader(
            data, batch_sampler=sampler, num_workers=workers, collate_fn=collate
        )
        return list(loader)

    none, two, other = batches(0, 5), batches(2, 5), batches(0, 6)
    assert len(none) == len(two) == 5
    for one, another in zip(none, two, strict=True):
        assert torch.equal(one.images, another.images)
        assert one.labels is not None and another.labels is not None
        assert torch.equal(one.labels, another.labels)
        assert torch.equal(one.indices, another.indices)
    assert not all(torch.equal(one.images, another.images) for one, another in zip(none, other, strict=True))


def test_synthia_like_labels_through_the_whole_path(tmp_path: Path) -> None:
    split = load(tmp_path, labels={"kind": "ids", "channel": 0, "map": {3: "rack"}})
    for sample in split.samples:
        assert sample.label is not None
        color = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        color[2:, :, 0] = 3
        save(sample.label, color)
    label = whole(split)[0].label
    assert label is not None
    assert (label[:2] == IGNORE).all()
    assert (label[2:] == CLASSES.index("rack")).all()


def test_camvid(camvid_root: Path) -> None:
    split = resolve(f"camvid:{camvid_root}", "dusk_test")
    item = SegmentationDataset(split, split.classes)[0]
    assert item.image.shape == (3, 360, 480)
    assert item.label is not None
    assert item.label.shape == (360, 480)
    assert set(item.label.unique().tolist()) <= {*range(11), IGNORE}
    ten = SegmentationDataset(split, class_set("camvid10"))[0].label
    assert ten is not None
    assert torch.equal(ten == IGNORE, (item.label == IGNORE) | (item.label == 10))
