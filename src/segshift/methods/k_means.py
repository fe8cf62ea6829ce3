"""k-means, deterministic: greedy k-means++ starts, Lloyd's iterations, the best of some restarts."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_CHUNK = 8192
# Relative: what float64 sums of many distances can still tell apart, with a margin.
_SETTLED = 1e-7


@dataclass(frozen=True)
class Clusters:
    """A partition of points.

    Attributes:
        centers: (K, D) float64, the means of the clusters.
        assignment: (P,) int64, each point's cluster.
        inertia: sum of the squared distances of the points to their centers.
    """

    centers: Tensor
    assignment: Tensor
    inertia: float


def k_means(
    points: Tensor, count: int, *, seed: int = 0, restarts: int = 4, max_iterations: int = 300
) -> Clusters:
    """Partition points into `count` clusters of small squared distance to their means.

    Equal points are merged and weighted, so that duplicates cost nothing. Distances are computed in chunks,
    in float64. An empty cluster is put where a point lies worst.

    Args:
        points: (P, D), any floating type, on the CPU.
        count: K, at most the number of different points.
        seed: of the starts; same seed, same clusters.
        restarts: how many starts are tried; the lowest inertia wins, the earliest of equals.
        max_iterations: of each start.

    Raises:
        ValueError: fewer different points than clusters, or a number below 1.

    Source: Lloyd 1982; Arthur and Vassilvitskii, k-means++, SODA 2007, with the greedy choice among
    2 + log K candidates of their section 5.
    """
    if min(count, restarts, max_iterations) < 1:
        raise ValueError(f"k_means: {count} clusters, {restarts} x {max_iterations} iterations: below 1")
    distinct, place, multiplicity = torch.unique(
        points.double(), dim=0, return_inverse=True, return_counts=True
    )
    if len(distinct) < count:
        raise ValueError(f"k_means: {len(distinct)} different points cannot make {count} clusters")
    weights = multiplicity.double()
    generator = torch.Generator().manual_seed(seed)
    best: Clusters | None = None
    for _ in range(restarts):
        found = _lloyd(distinct, weights, _start(distinct, weights, count, generator), max_iterations)
        if best is None or found.inertia < best.inertia:
            best = found
    assert best is not None
    return Clusters(best.centers, best.assignment[place], best.inertia)


def _start(points: Tensor, weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(K, D) points, each with a chance in proportion to its distance from those before it."""
    candidates = 2 + int(math.log(count))
    chosen = [_draw(weights, 1, generator)]
    distance = _squared_distances(points, points[chosen[0]])[:, 0]
    for _ in range(1, count):
        drawn = _draw(weights * distance, candidates, generator)
        nearer = torch.minimum(distance[:, None], _squared_distances(points, points[drawn]))
        winner = int((weights @ nearer).argmin())
        chosen.append(drawn[winner : winner + 1])
        distance = nearer[:, winner].clone()
        # Rounding leaves a chosen point a tiny distance from itself, and it must not be drawn again.
        distance[chosen[-1]] = 0
    return points[torch.cat(chosen)]


def _draw(chances: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """`number` indices with replacement, each with a chance in proportion to `chances`."""
    heights = chances.cumsum(0)
    marks = torch.rand(number, generator=generator, dtype=heights.dtype) * heights[-1]
    # right=True: an index of chance 0 has no height of its own and is never hit.
    return torch.searchsorted(heights, marks, right=True).clamp_max(len(chances) - 1)


def _lloyd(points: Tensor, weights: Tensor, centers: Tensor, max_iterations: int) -> Clusters:
    inertia = math.inf
    for iteration in range(max_iterations):
        nearest, distance = _assign(points, centers)
        before, inertia = inertia, float(weights @ distance)
        if iteration == max_iterations - 1 or before - inertia <= _SETTLED * inertia:
            break
        centers = _means(points, weights, centers, nearest, distance)
    return Clusters(centers, nearest, inertia)


def _means(points: Tensor, weights: Tensor, centers: Tensor, nearest: Tensor, distance: Tensor) -> Tensor:
    """The clusters' means; an empty cluster takes the point that adds most to the inertia."""
    empty = (torch.bincount(nearest, minlength=len(centers)) == 0).nonzero()[:, 0]
    if len(empty):
        nearest = nearest.clone()
        nearest[(weights * distance).argsort(descending=True, stable=True)[: len(empty)]] = empty
    mass = torch.bincount(nearest, weights, minlength=len(centers))[:, None]
    sums = torch.zeros_like(centers).index_add_(0, nearest, points * weights[:, None])
    # Giving a cluster's only point away leaves it empty: it stays where it was until the next turn.
    return torch.where(mass > 0, sums / mass.clamp_min(1), centers)


def _assign(points: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Each point's nearest center (the first of equals), and its squared distance."""
    parts = [_squared_distances(part, centers).min(dim=1) for part in torch.split(points, _CHUNK)]
    return torch.cat([part.indices for part in parts]), torch.cat([part.values for part in parts])


def _squared_distances(points: Tensor, centers: Tensor) -> Tensor:
    """(P, K)."""
    squares = points.square().sum(1, keepdim=True) + centers.square().sum(1)
    return (squares - 2 * points @ centers.T).clamp_min(0)
