"""Cross-domain retrieval: do images of the other domain come up among an image's nearest neighbors?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segshift.errors import InputError

Values = NDArray[np.float64]
_QUERIES_AT_ONCE = 256


@dataclass(frozen=True)
class Retrieval:
    """What the nearest neighbors in a pool of both domains' images say.

    Attributes:
        source_to_target: (P,) |A_k| for k = 1 ... P: mean number of target images among the k nearest
            neighbors of a source query.
        target_to_source: (P,) |B_k|: mean number of source images among those of a target query.
        source_map: mean over the source queries of the average precision of the whole ranked pool, where
            target images are the right answers; in [0, 1].
        target_map: the same for target queries and source images.
        pool_source: source images in the pool.
        pool_target: target images in the pool.
    """

    source_to_target: Values
    target_to_source: Values
    source_map: float
    target_map: float
    pool_source: int
    pool_target: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON, at some twenty values of k from 1 to the size of the pool."""
        pool = len(self.source_to_target)
        ks = np.unique(np.linspace(1, pool, min(20, pool)).round().astype(int))
        return {
            "pool": {"source": self.pool_source, "target": self.pool_target},
            "k": ks.tolist(),
            "source_to_target": self.source_to_target[ks - 1].tolist(),
            "target_to_source": self.target_to_source[ks - 1].tolist(),
            "source_map": self.source_map,
            "target_map": self.target_map,
        }


def cross_domain_retrieval(
    source_pool: NDArray[Any],
    target_pool: NDArray[Any],
    source_queries: NDArray[Any],
    target_queries: NDArray[Any],
    *,
    seed: int = 0,
) -> Retrieval:
    r"""Rank a pool of both domains by cosine similarity to every query, and count the other domain's images.

    With domains that cannot be told apart :math:`|A_k| = k \, N_{target} / (N_{source} + N_{target})`; with
    separated ones it is 0 until all source images are used up. Equal similarities are put in random order.

    Args:
        source_pool: (N_source, F) descriptors: features averaged over space.
        target_pool: (N_target, F).
        source_queries: (Q, F), of other images than the pool's.
        target_queries: (Q', F).
        seed: of the order of equal similarities.

    Raises:
        InputError: descriptors of different lengths, or a part without images.

    Source: Sankaranarayanan et al., LSD, CVPR 2018, section 5.4 and figure 4.
    """
    parts = [np.asarray(p, np.float64) for p in (source_pool, target_pool, source_queries, target_queries)]
    if any(part.ndim != 2 or len(part) == 0 for part in parts) or len({p.shape[1] for p in parts}) != 1:
        raise InputError(
            f"retrieval: descriptors {', '.join(str(part.shape) for part in parts)}; give (images, F) with "
            "one F and one or more images in each of the two pools and two sets of queries"
        )
    generator = np.random.default_rng(seed)
    pool = _unit(np.concatenate(parts[:2]))
    is_target = np.arange(len(pool)) >= len(parts[0])
    order = generator.permutation(len(pool))
    pool, is_target = pool[order], is_target[order]
    source_to_target, source_map = _ranked(_unit(parts[2]), pool, is_target)
    target_to_source, target_map = _ranked(_unit(parts[3]), pool, ~is_target)
    return Retrieval(source_to_target, target_to_source, source_map, target_map, len(parts[0]), len(parts[1]))


def split_queries(count: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Disjoint places of the pool and of the queries among `count` images: two random halves, in order.

    Raises:
        InputError: fewer than two images.
    """
    if count < 2:
        raise InputError(f"retrieval: {count} image of a domain; it takes two or more, a pool and queries")
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def _unit(descriptors: Values) -> Values:
    norms = np.linalg.norm(descriptors, axis=1, keepdims=True)
    unit: Values = descriptors / np.where(norms > 0, norms, 1.0)
    return unit


def _ranked(queries: Values, pool: Values, wanted: NDArray[np.bool_]) -> tuple[Values, float]:
    """Mean number of wanted images among the first k, for every k, and the mean average precision."""
    ranks = np.arange(1, len(pool) + 1)
    found, precision = np.zeros(len(pool)), 0.0
    for first in range(0, len(queries), _QUERIES_AT_ONCE):
        similarity = queries[first : first + _QUERIES_AT_ONCE] @ pool.T
        # Rounded, so that what is equal by definition is not ranked by the last bit.
        hits = wanted[np.argsort(-similarity.round(12), axis=1, kind="stable")]
        counts = hits.cumsum(axis=1)
        found += counts.sum(axis=0)
        precision += float(np.where(hits, counts / ranks, 0.0).sum())
    return found / len(queries), precision / (len(queries) * int(wanted.sum()))
