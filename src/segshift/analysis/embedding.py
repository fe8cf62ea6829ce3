"""Features of both domains in the plane: which points are taken, and their t-SNE."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segshift.analysis.class_centers import DOMAINS
from segshift.analysis.features import FeatureMap
from segshift.errors import InputError
from segshift.plain import counted
from segshift.train_ids import IGNORE

Granularity = Literal["patch", "class", "image"]
GRANULARITIES: tuple[Granularity, ...] = ("patch", "class", "image")
NO_CLASS = -1
LEAST_POINTS = 6
_COMPONENTS = 50


@dataclass(frozen=True)
class Points:
    """Features of one level.

    Attributes:
        features: (P, F) float32.
        classes: (P,) int64 train ids; -1 for whole images.
        domains: (P,) int64, 0 = source, 1 = target.
        images: P names of the images that they come from.
    """

    features: NDArray[np.float32]
    classes: NDArray[np.int64]
    domains: NDArray[np.int64]
    images: tuple[str, ...]

    def of(self, classes: Collection[int]) -> "Points":
        """Those of some classes alone."""
        chosen = np.flatnonzero(np.isin(self.classes, list(classes)))
        return Points(
            self.features[chosen],
            self.classes[chosen],
            self.domains[chosen],
            tuple(self.images[place] for place in chosen),
        )


def points_table(
    plane: NDArray[np.float32],
    classes: NDArray[np.int64],
    domains: NDArray[np.int64],
    images: Sequence[str],
    class_names: Sequence[str],
) -> dict[str, Any]:
    """Points in the plane, (P, 2), for JSON: columns of places, classes, domains and images."""
    return {
        "x": [round(float(x), 4) for x in plane[:, 0]],
        "y": [round(float(y), 4) for y in plane[:, 1]],
        "class": [class_names[c] if c != NO_CLASS else None for c in classes],
        "domain": [DOMAINS[domain] for domain in domains],
        "image": list(images),
    }


class _Kept(NamedTuple):
    """The points of one level, class and domain: random keys, features, and image names."""

    keys: NDArray[np.float64]
    features: NDArray[np.float32]
    images: NDArray[np.str_]

    def joined(self, other: "_Kept") -> "_Kept":
        return _Kept(
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.features, other.features]),
            np.concatenate([self.images, other.images]),
        )

    def first(self, limit: int) -> "_Kept":
        """Those with the smallest keys."""
        chosen = np.argsort(self.keys, kind="stable")[:limit]
        return _Kept(self.keys[chosen], self.features[chosen], self.images[chosen])


class PointSampler:
    """A random sample of a domain's features on three levels, of bounded size, gathered image by image.

    * patch: the mean feature of a block of `patch_cells` x `patch_cells` cells; its class is the one that
      most of its labelled cells have, and blocks that are less than half labelled are left out.
    * class: the mean feature of a class in one image.
    * image: the mean feature of an image.

    Every point gets a random key and the smallest keys stay: each class (each domain, for images) keeps
    `limit` points that are a uniform sample of all that were seen. The keys depend on the seed and the
    labels only, so that networks with features of one size are shown at the same places.
    """

    def __init__(self, limit: int = 40, patch_cells: int = 4, seed: int = 0) -> None:
        if limit < 1 or patch_cells < 1:
            raise InputError(f"limit = {limit}, patch_cells = {patch_cells}: both must be at least 1")
        self.limit, self.patch_cells = limit, patch_cells
        self._generator = np.random.default_rng(seed)
        self._kept: dict[tuple[Granularity, int, int], _Kept] = {}

    def add(self, seen: FeatureMap, domain: int, image: str = "") -> None:
        """Take in an image of the source (domain 0) or of the target (1), and its name."""
        patches, classes = patch_features(seen, self.patch_cells)
        self._keep("patch", domain, classes, patches, image)
        flat, ids = seen.features.reshape(len(seen.features), -1), seen.labels.reshape(-1)
        present = [int(train_id) for train_id in np.unique(ids) if train_id != IGNORE]
        means = np.array([flat[:, ids == train_id].mean(axis=1) for train_id in present], np.float32)
        self._keep("class", domain, np.array(present, np.int64), means, image)
        self._keep("image", domain, np.array([NO_CLASS]), seen.descriptor[None], image)

    def _keep(
        self,
        level: Granularity,
        domain: int,
        classes: NDArray[np.int64],
        features: NDArray[np.float32],
        image: str,
    ) -> None:
        keys = self._generator.random(len(classes))
        # Images have one heap for all classes: as many points as the classes together would be too many.
        limit = self.limit if level != "image" else 5 * self.limit
        for train_id in np.unique(classes):
            own = classes == train_id
            place = (level, int(train_id), domain)
            kept = _Kept(keys[own], features[own], np.full(int(own.sum()), image))
            before = self._kept.get(place)
            self._kept[place] = (kept if before is None else before.joined(kept)).first(limit)

    def points(self, level: Granularity) -> Points:
        """The sample of one level. Raises InputError when it is empty."""
        places = sorted(place for place in self._kept if place[0] == level)
        if not places:
            raise InputError(f"embedding: no {level} has a class; give labelled images")
        sizes = [len(self._kept[place].keys) for place in places]
        return Points(
            np.concatenate([self._kept[place].features for place in places]),
            np.repeat([place[1] for place in places], sizes),
            np.repeat([place[2] for place in places], sizes),
            tuple(str(image) for place in places for image in self._kept[place].images),
        )


def patch_features(seen: FeatureMap, cells: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Mean features and majority classes of an image's blocks, as `PointSampler` says.

    The blocks begin at the top left corner; cells that are left over at the right and bottom are not used,
    and a map smaller than one block is one block.

    Returns:
        (B, F) float32 and (B,) int64.
    """
    depth, height, width = seen.features.shape
    tall, wide = min(cells, height), min(cells, width)
    rows, columns = height // tall, width // wide
    cut = seen.features[:, : rows * tall, : columns * wide]
    means = cut.reshape(depth, rows, tall, columns, wide).mean(axis=(2, 4)).reshape(depth, -1).T
    blocks = seen.labels[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)
    ids = blocks.transpose(0, 2, 1, 3).reshape(rows * columns, -1)
    counts = np.stack([np.bincount(block, minlength=256)[:255] for block in ids])
    known = 2 * counts.sum(axis=1) >= ids.shape[1]
    return np.ascontiguousarray(means[known]), counts.argmax(axis=1)[known].astype(np.int64)


def tsne(features: NDArray[np.float32], *, perplexity: float = 30.0, seed: int = 0) -> NDArray[np.float32]:
    """Features in the plane by t-SNE (scikit-learn), after PCA to at most 50 components.

    Args:
        features: (P, F).
        perplexity: about how many neighbors a point has; lowered to a third of the points if there are few.
        seed: equal features, seeds and versions of scikit-learn give equal pictures.

    Returns:
        (P, 2) float32. The scale and the direction of its axes mean nothing.

    Raises:
        InputError: fewer than six points, or values that are not finite.

    Source: van der Maaten and Hinton, JMLR 2008.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(features) < LEAST_POINTS:
        raise InputError(
            f"t-SNE: {counted(len(features), 'point')}; it takes {LEAST_POINTS} or more, so give more images"
        )
    if not np.isfinite(features).all():
        raise InputError("t-SNE: features that are not finite; the network has diverged, take an earlier one")
    if (features == features[0]).all():
        raise InputError("t-SNE: all features are equal; the network sees no difference, take another one")
    if min(features.shape) > _COMPONENTS:
        features = PCA(_COMPONENTS, random_state=seed).fit_transform(features)
    plane = TSNE(perplexity=min(perplexity, (len(features) - 1) / 3), init="pca", random_state=seed)
    result: NDArray[np.float32] = plane.fit_transform(features).astype(np.float32)
    return result


def embed(
    sampler: PointSampler,
    perplexity: float = 30.0,
    seed: int = 0,
    classes: Collection[int] | None = None,
) -> Mapping[Granularity, tuple[Points, NDArray[np.float32]]]:
    """Every level's points with their places in the plane; levels with too few points are left out.

    Args:
        sampler: of one network's features.
        perplexity: see `tsne`.
        seed: likewise.
        classes: train ids of the classes that are shown; None shows all, and whole images.

    Raises:
        InputError: no level has enough points of these classes.
    """
    result: dict[Granularity, tuple[Points, NDArray[np.float32]]] = {}
    for level in GRANULARITIES:
        points = sampler.points(level)
        if classes is not None:
            points = points.of(classes)
        if len(points.features) >= LEAST_POINTS:
            result[level] = points, tsne(points.features, perplexity=perplexity, seed=seed)
    if not result and classes is not None:
        raise InputError(
            f"t-SNE: the chosen classes have fewer than {LEAST_POINTS} points; choose others, or more images"
        )
    return result
