"""Label-free scores against loops in NumPy, and on predictions whose scores are known."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from segshift.evaluation.unsupervised import (
    ProbabilitySums,
    agreement,
    soft_neighborhood_density,
)
from segshift.label_free_scores import SCORES, goodness

Probs = NDArray[np.float64]


def draw(pixels: int = 40, classes: int = 5, sharpness: float = 2.0, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(pixels, classes, generator=generator)).softmax(dim=1)


def sums_of(probs: Tensor) -> ProbabilitySums:
    sums = ProbabilitySums(probs.shape[1])
    sums.add(probs)
    return sums


def entropy_of(p: Probs) -> float:
    return -sum(float(value) * math.log(value) for value in p if value > 0)


def one_hot(ids: list[int], classes: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(ids), classes).float()


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_scores_of_probabilities_follow_their_definitions(classes: int) -> None:
    probs = draw(classes=classes)
    p = probs.double().numpy()
    norm = math.log(classes) if classes > 1 else 1.0
    entropy = np.mean([entropy_of(row) for row in p]) / norm
    assert sums_of(probs).entropy() == pytest.approx(entropy, abs=1e-7)
    assert sums_of(probs).information_maximization() == pytest.approx(
        entropy_of(p.mean(0)) / norm - entropy, abs=1e-7
    )
    assert sums_of(probs).confidence() == pytest.approx(np.mean([max(row) for row in p]), abs=1e-7)
    nuclear = np.linalg.norm(p, ord="nuc") / math.sqrt(len(p) * min(len(p), classes))
    assert sums_of(probs).bnm() == pytest.approx(nuclear, abs=1e-6)


def test_fewer_pixels_than_classes() -> None:
    probs = draw(pixels=3, classes=7)
    nuclear = np.linalg.norm(probs.double().numpy(), ord="nuc") / 3
    assert sums_of(probs).bnm() == pytest.approx(nuclear, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_soft_neighborhood_density_is_the_papers(temperature: float) -> None:
    x = draw(pixels=12, classes=4).double().numpy()
    entropies = []
    for u in range(len(x)):
        similar = np.array(
            [x[u] @ x[v] / np.linalg.norm(x[u]) / np.linalg.norm(x[v]) for v in range(len(x)) if v != u]
        )
        weights = np.exp(similar / temperature)
        entropies.append(entropy_of(weights / weights.sum()))
    found = soft_neighborhood_density(torch.from_numpy(x), temperature)
    assert found == pytest.approx(np.mean(entropies), rel=1e-9)


def test_density_counts_the_neighbors() -> None:
    # Two tight clusters of four: each pixel has three equal neighbors, the others are far away.
    assert soft_neighborhood_density(one_hot([0] * 4 + [1] * 4, 2)) == pytest.approx(math.log(3), abs=1e-6)
    assert soft_neighborhood_density(one_hot([0] * 8, 2)) == pytest.approx(math.log(7))


def test_extremes_are_where_the_docstrings_say() -> None:
    uniform, varied, collapsed = torch.full((8, 4), 0.25), one_hot([0, 1, 2, 3] * 2, 4), one_hot([2] * 8, 4)
    assert [sums_of(p).entropy() for p in (uniform, varied, collapsed)] == pytest.approx([1, 0, 0])
    assert [sums_of(p).information_maximization() for p in (uniform, varied, collapsed)] == pytest.approx(
        [0, 1, 0]
    )
    assert [sums_of(p).bnm() for p in (varied, collapsed)] == pytest.approx([1, 0.5])
    assert [sums_of(p).confidence() for p in (uniform, varied, collapsed)] == pytest.approx([0.25, 1, 1])


def test_agreement_is_the_mean_iou_of_two_predictions() -> None:
    generator = np.random.default_rng(0)
    a, b = (generator.integers(0, 3, (6, 7)) for _ in range(2))
    ious = []
    for k in range(4):
        union = ((a == k) | (b == k)).sum()
        if union:
            ious.append(((a == k) & (b == k)).sum() / union)
    first, second = torch.from_numpy(a), torch.from_numpy(b)
    assert agreement(first, second, 4) == pytest.approx(np.mean(ious))
    assert agreement(second, first, 4) == agreement(first, second, 4)
    assert agreement(first, first, 4) == 1


def test_a_stream_gives_what_all_pixels_give() -> None:
    probs = draw(pixels=90)
    sums = ProbabilitySums(5)
    for part in torch.split(probs, [1, 30, 59]):
        sums.add(part)
    assert sums.pixels == 90
    assert sums.entropy() == pytest.approx(sums_of(probs).entropy(), rel=1e-12)
    assert sums.information_maximization() == pytest.approx(
        sums_of(probs).information_maximization(), rel=1e-12
    )
    assert sums.bnm() == pytest.approx(sums_of(probs).bnm(), rel=1e-12)
    assert sums.confidence() == pytest.approx(sums_of(probs).confidence(), rel=1e-12)
    shares = np.bincount(probs.argmax(1).numpy(), minlength=5) / 90
    assert sums.largest_class_share() == pytest.approx(shares.max())


def test_goodness_turns_what_is_better_lower() -> None:
    assert goodness("entropy", 0.2) > goodness("entropy", 0.5)
    assert all(goodness(name, 0.5) > goodness(name, 0.2) for name in SCORES if name != "entropy")


@pytest.mark.parametrize(
    "call",
    [
        lambda: sums_of(torch.ones(2, 3, 4)).entropy(),
        lambda: sums_of(torch.ones(0, 3)).bnm(),
        lambda: ProbabilitySums(3).add(torch.ones(3)),
        lambda: soft_neighborhood_density(torch.ones(1, 3)),
        lambda: soft_neighborhood_density(torch.ones(4, 3), temperature=0.0),
    ],
)
def test_wrong_shapes_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"needs|above 0"):
        call()
