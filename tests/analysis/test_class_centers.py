"""Class center distances: both definitions against loops over points, and answers known by construction."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from segshift.analysis import ClassCenters, class_center_distance
from segshift.analysis.class_centers import clan_distance
from segshift.errors import InputError

CLASSES, DEPTH = 4, 5


def points(seed: int = 0, count: int = 200) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points of classes 0, 1 and 3, and some of none (255); class 2 has no point."""
    generator = np.random.default_rng(seed)
    labels = generator.choice([0, 1, 3, 255], count)
    return generator.normal(labels[:, None] % 7, 1, (count, DEPTH)), labels


def fada_by_loops(features: NDArray[np.float64], labels: NDArray[np.int64]) -> list[float]:
    """Equation 9, written out."""
    classes = [c for c in range(CLASSES) if any(label == c for label in labels)]
    centers = {
        c: np.mean([x for x, y in zip(features, labels, strict=True) if y == c], axis=0) for c in classes
    }
    result = [math.nan] * CLASSES
    for i in classes:
        own = [x for x, y in zip(features, labels, strict=True) if y == i]
        within = sum(float(np.sum((x - centers[i]) ** 2)) for x in own) / len(own)
        terms = [within / float(np.sum((centers[i] - centers[j]) ** 2)) for j in classes if j != i]
        result[i] = sum(terms) / len(terms)
    return result


def test_fada_is_equation_9() -> None:
    features, labels = points()
    distance = class_center_distance(features, labels, CLASSES)
    np.testing.assert_allclose(distance, fada_by_loops(features, labels), rtol=1e-12)
    assert np.isnan(distance).tolist() == [False, False, True, False]


def test_clan_is_the_distance_of_the_domains_centers() -> None:
    features, labels = points()
    domains = np.arange(len(labels)) % 2
    expected = []
    for c in range(CLASSES):
        source, target = (features[(labels == c) & (domains == d)] for d in (0, 1))
        expected.append(
            math.dist(source.mean(0), target.mean(0)) if len(source) and len(target) else math.nan
        )
    distance = class_center_distance(features, labels, CLASSES, "clan", domains=domains)
    np.testing.assert_allclose(distance, expected, rtol=1e-12)
    normalized = class_center_distance(
        3 * features, labels, CLASSES, "clan", domains=domains, reference=distance
    )
    np.testing.assert_allclose(normalized, [3, 3, math.nan, 3], rtol=1e-12)


def test_parts_in_any_order_give_the_numbers_of_the_whole() -> None:
    features, labels = points()
    # Far from the origin the mean of squares minus the square of the mean has no digit left.
    features = features + 1e6
    gathered = ClassCenters(CLASSES)
    for part in np.array_split(np.random.default_rng(1).permutation(len(labels)), 7):
        gathered.add(features[part], labels[part])
    np.testing.assert_allclose(
        gathered.fada_distance(), class_center_distance(features, labels, CLASSES), rtol=1e-8
    )
    first, second = ClassCenters(CLASSES), ClassCenters(CLASSES)
    first.add(features[:50], labels[:50])
    second.add(features[50:], labels[50:])
    both = first.merged(second)
    np.testing.assert_array_equal(both.count, gathered.count)
    np.testing.assert_allclose(both.fada_distance(), gathered.fada_distance(), rtol=1e-8)
    np.testing.assert_allclose(ClassCenters(CLASSES).merged(both).center, both.center)


def test_maps_are_points_whatever_they_are_made_of() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, DEPTH, 4, 6, generator=generator)
    labels = torch.randint(0, CLASSES, (3, 4, 6), generator=generator).to(torch.uint8)
    flat = maps.permute(0, 2, 3, 1).reshape(-1, DEPTH).numpy()
    expected = class_center_distance(flat, labels.reshape(-1).numpy(), CLASSES)
    np.testing.assert_allclose(class_center_distance(maps, labels, CLASSES), expected)
    one = class_center_distance(maps[0].requires_grad_(), labels[0], CLASSES)
    np.testing.assert_allclose(one, class_center_distance(flat[:24], labels[0].reshape(-1), CLASSES))
    per_map = class_center_distance(maps, labels, CLASSES, "clan", domains=np.array([0, 1, 1]))
    per_point = np.repeat([0, 1, 1], 24)
    expected = class_center_distance(flat, labels.reshape(-1), CLASSES, "clan", domains=per_point)
    np.testing.assert_allclose(per_map, expected)
    assert class_center_distance(maps.bfloat16(), labels, CLASSES).shape == (CLASSES,)


def test_answers_known_by_construction() -> None:
    # Two classes at 0 and 10, each one to the left and one to the right: scatter 1, squared distance 100.
    features = np.array([[-1.0], [1.0], [9.0], [11.0]])
    assert class_center_distance(features, np.array([0, 0, 1, 1]), 2).tolist() == [0.01, 0.01]
    # Domains shifted by 3: every class's centers lie 3 apart.
    both, labels = np.concatenate([features, features + 3]), np.array([0, 0, 1, 1] * 2)
    domains = np.repeat([0, 1], 4)
    assert class_center_distance(both, labels, 2, "clan", domains=domains).tolist() == [3.0, 3.0]
    same = np.concatenate([features, features])
    assert class_center_distance(same, labels, 2, "clan", domains=domains).tolist() == [0.0, 0.0]


def test_classes_without_a_distance() -> None:
    alone = class_center_distance(np.array([[1.0], [2.0]]), np.array([1, 1]), 3)
    assert np.isnan(alone).all()
    coinciding = class_center_distance(np.array([[-1.0], [1.0], [-2.0], [2.0]]), np.array([0, 0, 1, 1]), 2)
    assert np.isinf(coinciding).all()
    nothing = ClassCenters(3)
    assert np.isnan(nothing.fada_distance()).all() and np.isnan(clan_distance(nothing, nothing)).all()


def test_what_does_not_fit_is_said() -> None:
    features, labels = points(count=12)
    with pytest.raises(InputError, match="do not belong together"):
        class_center_distance(features, labels[:-1], CLASSES)
    with pytest.raises(InputError, match="definition = other: unknown"):
        class_center_distance(features, labels, CLASSES, "other")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="give `domains`"):
        class_center_distance(features, labels, CLASSES, "clan")
    with pytest.raises(InputError, match="5 values for 12 points"):
        class_center_distance(features, labels, CLASSES, "clan", domains=np.zeros(5))
    gathered, wider = ClassCenters(CLASSES), ClassCenters(CLASSES)
    gathered.add(features, labels)
    with pytest.raises(InputError, match="length 2 after features of length 5"):
        gathered.add(features[:, :2], labels)
    wider.add(np.zeros((1, 9)), np.zeros(1, int))
    with pytest.raises(InputError, match="gathered for other classes or features"):
        gathered.merged(wider)
