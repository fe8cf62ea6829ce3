"""Several data sets as one: items, weights, and the words about them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from segshift.data.augmentation import Augmentation
from segshift.data.dataset import SegmentationDataset
from segshift.data.labels import class_set
from segshift.data.mixture import MixedDataset, plan_draws
from segshift.data.resolve import resolve
from segshift.data.sampler import Draw, UniformOrder
from segshift.data.sampling import SamplingConfig
from segshift.errors import InputError
from tests.data.files import assert_one_line, dataset, ids, save

CROP = Augmentation(crop=(5, 5), flip=True)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def parts(tmp_path: Path) -> list[SegmentationDataset]:
    classes = class_set(["floor", "rack", "person"])
    made = []
    for name, count in (("first", 3), ("second", 5)):
        yaml = dataset(tmp_path / name, train=count, name=name)
        made.append(SegmentationDataset(resolve(str(yaml)), classes, CROP))
    # Persons stand in one image of the second data set alone.
    for part in made:
        for index, sample in enumerate(part.split.samples):
            assert sample.label is not None
            save(sample.label, ids(index, count=2))
    last = made[1].split.samples[4].label
    assert last is not None
    save(last, ids(4))
    return made


def test_items_are_those_of_the_parts(parts: list[SegmentationDataset]) -> None:
    mixed = MixedDataset(parts)
    assert len(mixed) == 8
    for index in range(8):
        part, own = (parts[0], index) if index < 3 else (parts[1], index - 3)
        for key, inner in ((index, own), (Draw(index, 77), Draw(own, 77))):
            item, expected = mixed[key], part[inner]
            assert item.index == index
            assert torch.equal(item.image, expected.image)
            assert item.label is not None and expected.label is not None
            assert torch.equal(item.label, expected.label)
    with pytest.raises(IndexError):
        mixed[8]


def test_what_cannot_be_mixed(parts: list[SegmentationDataset]) -> None:
    other = SegmentationDataset(parts[1].split, class_set(["person", "floor"]), CROP)
    bare = SegmentationDataset(parts[1].split, parts[1].classes, CROP, with_labels=False)
    for wrong in (other, bare):
        with pytest.raises(InputError) as caught:
            MixedDataset([parts[0], wrong])
        assert_one_line(caught.value, "second:train and first:train")
    with pytest.raises(InputError, match="at least one"):
        MixedDataset([])


def test_one_data_set_is_drawn_uniformly_without_a_word(parts: list[SegmentationDataset]) -> None:
    plan = plan_draws(MixedDataset(parts[:1]), [1.0], SamplingConfig(), seed=9)
    assert plan.description == ""
    assert [plan.order.index(draw) for draw in range(30)] == [UniformOrder(3, 9).index(n) for n in range(30)]


def test_weights_are_realised(parts: list[SegmentationDataset]) -> None:
    plan = plan_draws(MixedDataset(parts), [1.0, 3.0], SamplingConfig(), seed=9)
    indices = np.array([plan.order.index(draw) for draw in range(400)])
    assert (indices < 3).sum() == 100
    assert plan.description == "mixed 25.0% first, 75.0% second"


@pytest.mark.parametrize("kind", ["rare_class", "class_balanced"])
def test_sampling_by_class_within_each_part(parts: list[SegmentationDataset], kind: str) -> None:
    sampling = SamplingConfig.model_validate({"kind": kind, "temperature": 0.1, "min_pixels": 1})
    plan = plan_draws(MixedDataset(parts), [1.0, 1.0], sampling, seed=9)
    indices = np.array([plan.order.index(draw) for draw in range(600)])
    assert (indices < 3).sum() == 300, "the weights hold whatever the classes are"
    assert (indices == 7).mean() > 1.5 * (indices[indices >= 3] == 3).sum() / 600
    assert plan.description.startswith("mixed 50.0% first, 50.0% second; ")
    assert f"{kind} sampling" in plan.description and "person" in plan.description
    assert ("T = 0.1" in plan.description) == (kind == "rare_class")


def test_no_image_with_enough_pixels_names_the_data_set(parts: list[SegmentationDataset]) -> None:
    with pytest.raises(InputError) as caught:
        plan_draws(MixedDataset(parts), [1.0, 1.0], SamplingConfig(kind="rare_class"), seed=9)
    assert_one_line(caught.value, "first:train", "3000 pixels", "`sampling.min_pixels`")
