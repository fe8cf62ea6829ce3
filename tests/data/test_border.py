"""The ignored border: where it lies after every transform, and what it leaves of labels."""

from pathlib import Path

import pytest
import torch

from segshift.config import parse
from segshift.data.augmentation import Augmentation
from segshift.data.border import Border
from segshift.data.dataset import SegmentationDataset
from segshift.data.sampler import Draw
from segshift.errors import InputError
from segshift.train_ids import IGNORE
from tests.data.test_dataset import load

IMAGE = torch.zeros(3, 20, 30, dtype=torch.uint8)


def test_only_the_border_is_ignored() -> None:
    label = torch.arange(600, dtype=torch.int64).remainder(7).to(torch.uint8).view(20, 30)
    before = label.clone()
    result = Border(top=2, bottom=5, left=1, right=3).ignored(IMAGE, label, "a.png")
    assert torch.equal(label, before)
    for y in range(20):
        for x in range(30):
            inside = 2 <= y < 15 and 1 <= x < 27
            assert result[y, x] == (label[y, x] if inside else IGNORE)


def test_without_a_label_it_is_a_map_of_what_counts() -> None:
    result = Border(top=4).ignored(IMAGE, None, "a.png")
    assert (result[:4] == IGNORE).all() and (result[4:] == 0).all()
    assert (Border().ignored(IMAGE, None, "a.png") == 0).all()


def test_nothing_left_is_one_line() -> None:
    with pytest.raises(InputError, match=r"a\.png: ignored_border leaves nothing of 30 x 20 px") as error:
        Border(top=10, bottom=10).ignored(IMAGE, None, "a.png")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="top"):
        parse(Border, {"top": -1}, "here")


def test_it_moves_with_every_transform() -> None:
    """An image that is white in its border shows where that lies after scaling, cropping and mirroring."""
    border = Border(top=6, left=8, bottom=4)
    marked = border.ignored(IMAGE, None, "a.png").expand(3, -1, -1).contiguous()
    # Whole factors keep pixels apart: 60x40 is twice the image.
    augmentation = Augmentation(resize=(60, 40), crop=(33, 21), flip=True)
    seen = set()
    for seed in range(30):
        image, label = augmentation(marked, border.ignored(IMAGE, None, "a.png"), seed)
        assert label is not None
        sure = (image[0] == 0) | (image[0] == 255)
        assert torch.equal(image[0][sure], label[sure]) and sure.float().mean() > 0.7
        seen.add(float((label == IGNORE).float().mean()))
    assert len(seen) > 5  # crops inside have less of the border than those at the edge


def test_a_data_set_has_it_with_and_without_labels(tmp_path: Path) -> None:
    split = load(tmp_path)
    border = Border(bottom=3)
    for key in (0, Draw(0, 5)):
        labelled = SegmentationDataset(split, split.classes, border=border)[key].label
        plain = SegmentationDataset(split, split.classes)[key].label
        target = SegmentationDataset(split, split.classes, with_labels=False, border=border)[key].label
        assert labelled is not None and plain is not None and target is not None
        assert torch.equal(labelled[:-3], plain[:-3]) and (labelled[-3:] == IGNORE).all()
        assert (target[:-3] == 0).all() and (target[-3:] == IGNORE).all()
    assert SegmentationDataset(split, split.classes, with_labels=False)[0].label is None
