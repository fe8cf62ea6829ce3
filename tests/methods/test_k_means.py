"""k-means against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from segshift.methods.k_means import k_means


def histograms(number: int = 1500, cells: int = 4, classes: int = 6, seed: int = 0) -> torch.Tensor:
    """Points like those of the term: cells that each sum to 1, most of them dominated by one class."""
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(np.full(classes, 0.3), (number, cells))
    return torch.from_numpy(shares.reshape(number, -1)).float()


def inertia_of(points: torch.Tensor, centers: torch.Tensor) -> float:
    return float(torch.cdist(points.double(), centers.double()).min(dim=1).values.square().sum())


@pytest.mark.parametrize("count", [2, 10, 50])
def test_the_inertia_is_within_a_percent_of_scikit_learns(count: int) -> None:
    points = histograms()
    oracle = KMeans(count, n_init=10, random_state=0).fit(points.numpy())
    found = k_means(points, count)
    assert found.inertia <= 1.01 * oracle.inertia_
    assert found.inertia == pytest.approx(inertia_of(points, found.centers), rel=1e-6)


def test_separated_blobs_are_found_as_scikit_learn_finds_them() -> None:
    generator = np.random.default_rng(1)
    middles = generator.uniform(-1, 1, (12, 8)) * 20
    points = np.concatenate([middle + generator.normal(0, 0.1, (40, 8)) for middle in middles])
    oracle = KMeans(12, n_init=10, random_state=0).fit(points)
    found = k_means(torch.from_numpy(points), 12)
    assert adjusted_rand_score(oracle.labels_, found.assignment.numpy()) == 1
    for cluster in range(12):
        members = points[found.assignment.numpy() == cluster]
        assert len(members) == 40
        np.testing.assert_allclose(found.centers[cluster].numpy(), members.mean(axis=0), atol=1e-9)


def test_one_start_is_a_local_optimum_that_scikit_learn_keeps() -> None:
    points = histograms(seed=2)
    found = k_means(points, 20, restarts=1)
    kept = KMeans(20, init=found.centers.float().numpy(), n_init=1, tol=0).fit(points.numpy())
    assert found.inertia == pytest.approx(kept.inertia_, rel=1e-3)


def test_equal_points_count_as_often_as_they_occur() -> None:
    points = torch.tensor([[0.0], [0.0], [0.0], [1.0], [9.0], [9.0]])
    found = k_means(points, 2)
    assert sorted(found.centers[:, 0].tolist()) == [0.25, 9.0]
    assert found.inertia == pytest.approx(0.75)
    assert found.assignment[:4].unique().numel() == 1 and found.assignment[3] != found.assignment[4]


def test_the_same_seed_gives_the_same_clusters_whatever_the_global_state() -> None:
    points = histograms(300)
    torch.manual_seed(1)
    first = k_means(points, 10, seed=3)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = k_means(points, 10, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.centers, again.centers) and torch.equal(first.assignment, again.assignment)
    assert not torch.equal(first.centers, k_means(points, 10, seed=4).centers)


def test_as_many_clusters_as_points_leave_no_distance() -> None:
    points = histograms(30)
    found = k_means(points, 30, restarts=1)
    assert found.inertia < 1e-9 and found.assignment.unique().numel() == 30


def test_an_empty_cluster_goes_where_a_point_lies_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts that coincide leave all but one of them empty."""
    points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    monkeypatch.setattr("segshift.methods.k_means._start", lambda p, w, k, g: p[:1].expand(k, -1).clone())
    found = k_means(points, 2)
    assert sorted(found.centers[:, 0].tolist()) == [0.5, 10.5]


def test_too_few_different_points_and_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="3 different points cannot make 4"):
        k_means(torch.tensor([[0.0], [1.0], [2.0], [2.0]]), 4)
    with pytest.raises(ValueError, match="below 1"):
        k_means(histograms(5), 0)
