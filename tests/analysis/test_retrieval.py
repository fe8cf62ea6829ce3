"""Cross-domain retrieval: against loops over queries and ranks, and domains whose answer is known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from segshift.analysis import cross_domain_retrieval
from segshift.analysis.retrieval import split_queries
from segshift.errors import InputError

Descriptors = NDArray[np.float64]


def by_loops(queries: Descriptors, pool: Descriptors, wanted: NDArray[np.bool_]) -> tuple[list[float], float]:
    """Section 5.4, written out; the mean average precision by scikit-learn."""
    counts, precisions = np.zeros(len(pool)), []
    for query in queries:
        cosines = [float(x @ query) / float(np.linalg.norm(x) * np.linalg.norm(query)) for x in pool]
        nearest = sorted(range(len(pool)), key=lambda index: -cosines[index])
        for k in range(1, len(pool) + 1):
            counts[k - 1] += sum(bool(wanted[index]) for index in nearest[:k])
        precisions.append(average_precision_score(wanted, cosines))
    return (counts / len(queries)).tolist(), float(np.mean(precisions))


def test_both_directions_are_those_of_the_loops() -> None:
    generator = np.random.default_rng(0)
    parts = [
        generator.normal(mean, 1, (count, 6)) for mean, count in ((0.3, 9), (-0.3, 7), (0.3, 5), (-0.3, 4))
    ]
    found = cross_domain_retrieval(*parts)
    pool, is_target = np.concatenate(parts[:2]), np.arange(16) >= 9
    for curve, score, queries, wanted in (
        (found.source_to_target, found.source_map, parts[2], is_target),
        (found.target_to_source, found.target_map, parts[3], ~is_target),
    ):
        expected, precision = by_loops(queries, pool, wanted)
        np.testing.assert_allclose(curve, expected)
        assert score == pytest.approx(precision)
    assert (found.pool_source, found.pool_target) == (9, 7)
    # A query's own scale does not matter: cosine similarity.
    scaled = cross_domain_retrieval(parts[0], 5 * parts[1], 0.1 * parts[2], parts[3])
    np.testing.assert_allclose(scaled.source_to_target, found.source_to_target)


def test_separated_domains_never_meet_before_the_own_ones_are_used_up() -> None:
    generator = np.random.default_rng(1)
    near = lambda axis, count: np.eye(2)[axis] + 0.01 * generator.normal(size=(count, 2))  # noqa: E731
    found = cross_domain_retrieval(near(0, 10), near(1, 10), near(0, 4), near(1, 4))
    for curve in (found.source_to_target, found.target_to_source):
        assert curve[:10].tolist() == [0.0] * 10 and curve[10:].tolist() == list(range(1, 11))
    # Precision at the j-th right answer is j / (10 + j).
    expected = np.mean([j / (10 + j) for j in range(1, 11)])
    assert found.source_map == pytest.approx(expected) and found.target_map == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["drawn from one distribution", "all descriptors equal"])
def test_identical_domains_share_every_neighborhood_in_halves(kind: str) -> None:
    generator = np.random.default_rng(2)
    if kind == "all descriptors equal":
        parts = [np.ones((200, 8))] * 4
    else:
        parts = [generator.normal(size=(200, 8)) for _ in range(4)]
    # With equal similarities the order is one for all queries: the mean over seeds is what is known.
    runs = [cross_domain_retrieval(*parts, seed=seed) for seed in range(30)]
    for curve in ("source_to_target", "target_to_source"):
        shares = np.mean([getattr(run, curve) for run in runs], axis=0) / np.arange(1, 401)
        np.testing.assert_allclose(shares[20:], 0.5, atol=0.06)
    assert np.mean([run.source_map for run in runs]) == pytest.approx(0.5, abs=0.03)


def test_the_document_has_the_ends_of_the_curves() -> None:
    parts = [np.random.default_rng(3).normal(size=(count, 3)) for count in (30, 20, 4, 4)]
    document = cross_domain_retrieval(*parts).to_dict()
    assert document["k"][0] == 1 and document["k"][-1] == 50 and len(document["k"]) == 20
    assert document["source_to_target"][-1] == 20 and document["target_to_source"][-1] == 30
    assert document["pool"] == {"source": 30, "target": 20}


def test_pool_and_queries_are_disjoint_halves() -> None:
    pool, queries = split_queries(11, seed=4)
    assert sorted([*pool, *queries]) == list(range(11)) and len(pool) == 5
    assert pool.tolist() == split_queries(11, seed=4)[0].tolist() != split_queries(11, seed=5)[0].tolist()
    with pytest.raises(InputError, match="takes two or more"):
        split_queries(1)


def test_what_does_not_fit_is_said() -> None:
    some, none, other = np.ones((3, 4)), np.ones((0, 4)), np.ones((3, 5))
    for parts in ((some, none, some, some), (some, some, other, some), (some, some, some, np.ones(4))):
        with pytest.raises(InputError, match="one F and one or more images"):
            cross_domain_retrieval(*parts)
