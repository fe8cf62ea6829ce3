"""Scoring a network on images: streamed, without labels, without touching anything."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from segshift.data.labels import ClassSet
from segshift.data.sampling import evenly
from segshift.errors import InputError
from segshift.evaluation.unsupervised import (
    agreement,
)
from segshift.evaluation.unsupervised_scoring import score_unlabelled
from segshift.label_free_scores import LARGEST_CLASS_SHARE, SCORES
from segshift.models.inference_config import Inference
from segshift.models.segmenter import Segmenter, SegmenterConfig, SegmenterOutput
from tests.evaluation.test_unsupervised import sums_of

CLASSES = ClassSet("toy", ("sky", "ground", "box"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))


@dataclass(frozen=True)
class Picture:
    image: Tensor

    @property
    def label(self) -> Tensor:
        raise AssertionError("a label was asked for")


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    made = Segmenter(SegmenterConfig(backbone="segshift_tiny", weights="none"), CLASSES)
    # Untrained classifiers answer almost uniformly; sharper ones make every score move.
    with torch.no_grad():
        for parameter in made.head.parameters():
            parameter.mul_(60)
    return made


def pictures(count: int = 5) -> list[Picture]:
    generator = np.random.default_rng(0)
    # Of two sizes, as real data sets have.
    sizes = [(32, 48) if index % 2 else (40, 40) for index in range(count)]
    return [Picture(torch.from_numpy(generator.integers(0, 256, (3, *size), np.uint8))) for size in sizes]


def logits_of(segmenter: Segmenter, images: Tensor) -> Tensor:
    segmenter.eval()
    with torch.inference_mode():
        output: SegmenterOutput = segmenter(segmenter.normalize(images.float() / 255))
    return output.logits


def test_the_scores_are_those_of_all_pixels(segmenter: Segmenter) -> None:
    data = pictures()
    found = score_unlabelled(segmenter, data)
    assert set(found) == set(SCORES) - {"source_validation"} | {LARGEST_CLASS_SHARE}
    logits = [logits_of(segmenter, item.image[None]) for item in data]
    probs = torch.cat([one[0].softmax(0).flatten(1).T for one in logits])
    assert found["entropy"] == pytest.approx(sums_of(probs).entropy(), abs=1e-5)
    assert found["information_maximization"] == pytest.approx(
        sums_of(probs).information_maximization(), abs=1e-5
    )
    assert found["bnm"] == pytest.approx(sums_of(probs).bnm(), abs=1e-5)
    assert found["confidence"] == pytest.approx(sums_of(probs).confidence(), abs=1e-5)
    shares = torch.bincount(probs.argmax(1), minlength=3) / len(probs)
    assert found[LARGEST_CLASS_SHARE] == pytest.approx(float(shares.max()), abs=1e-3)
    plain = torch.cat([one.argmax(1).flatten() for one in logits])
    mirrored = torch.cat(
        [logits_of(segmenter, item.image.flip(-1)[None]).argmax(1).flip(-1).flatten() for item in data]
    )
    assert found["mirror_agreement"] == pytest.approx(agreement(mirrored, plain, 3), abs=1e-3)
    assert 0 < found["jitter_agreement"] < 1


def test_scoring_is_repeatable_and_leaves_no_trace(segmenter: Segmenter) -> None:
    segmenter.train()
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    state = torch.get_rng_state()
    first = score_unlabelled(segmenter, pictures(), limit=3)
    assert segmenter.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in segmenter.state_dict().items())
    assert score_unlabelled(segmenter, pictures(), limit=3) == first
    assert score_unlabelled(segmenter, pictures(), limit=4) != first


def test_a_network_of_one_class_is_seen(segmenter: Segmenter) -> None:
    class Constant(Segmenter):
        def forward(self, images: Tensor) -> SegmenterOutput:
            output = super().forward(images)
            logits = torch.zeros_like(output.logits)
            logits[:, 1] = 50
            return SegmenterOutput(features=output.features, logits=logits)

    collapsed = Constant(segmenter.config, CLASSES)
    found = score_unlabelled(collapsed, pictures(2))
    assert found[LARGEST_CLASS_SHARE] == 1 and found["information_maximization"] == pytest.approx(0, abs=1e-9)
    # What these two cannot see, and why the share is watched.
    assert found["confidence"] == pytest.approx(1) and found["mirror_agreement"] == 1


def test_images_are_seen_at_the_size_asked_for(segmenter: Segmenter) -> None:
    sizes = []
    hook = segmenter.register_forward_hook(lambda module, inputs, output: sizes.append(inputs[0].shape))
    score_unlabelled(segmenter, pictures(2), inference=Inference(input_size=(24, 16)))
    hook.remove()
    assert sizes == [torch.Size([3, 3, 16, 24])] * 2


def test_no_image_is_refused(segmenter: Segmenter) -> None:
    with pytest.raises(InputError, match="has no images"):
        score_unlabelled(segmenter, [])


@pytest.mark.parametrize(
    ("length", "limit", "expected"), [(10, 3, [0, 3, 6]), (3, 10, [0, 1, 2]), (4, None, [0, 1, 2, 3])]
)
def test_the_images_are_spread_over_the_set(length: int, limit: int | None, expected: list[int]) -> None:
    assert evenly(length, limit) == expected


def test_proportions_are_kept_as_in_training(segmenter: Segmenter) -> None:
    sizes = []
    hook = segmenter.register_forward_hook(lambda module, inputs, output: sizes.append(inputs[0].shape[-2:]))
    item = pictures(1)[0]
    height, width = item.image.shape[-2:]
    half = Inference(input_size=(width // 2, height), fit="pad")
    score_unlabelled(segmenter, [item], inference=half)
    hook.remove()
    assert sizes == [torch.Size([height // 2, width // 2])]
