r"""How far apart the classes lie in feature space: the center distances of FADA and of CLAN.

FADA asks how compact a class is beside its distance from the others, CLAN how far a class's center on the
source is from its center on the target. Both follow from the number, mean and scatter of every class's
features, which `ClassCenters` gathers image by image.
"""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segshift.errors import InputError
from segshift.losses.adversarial import Domain

Values = NDArray[np.float64]
Definition = Literal["fada", "clan"]
SOURCE, TARGET = 0, 1
DOMAINS: tuple[Domain, ...] = ("source", "target")


class ClassCenters:
    r"""Number :math:`|S_i|`, center :math:`\mu_i` and scatter of every class's features, one image at a time.

    The running mean and scatter are merged exactly (Chan et al., 1979), so that the result is that of all
    features at once up to rounding in float64, whatever the parts and their order.

    Attributes:
        count: (C,) int64, features per class.
        center: (C, F) float64; zeros for a class without features.
        scatter: (C,) float64, the sum over a class of the squared distances from its center.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.count = np.zeros(classes, np.int64)
        self.center: Values = np.zeros((classes, 0))
        self.scatter: Values = np.zeros(classes)

    def add(self, features: NDArray[Any] | Tensor, labels: NDArray[Any] | Tensor) -> None:
        """Take in the features of labelled points.

        Args:
            features: (P, F), or maps (F, h, w) or (N, F, h, w).
            labels: train ids of the points, (P,), (h, w) or (N, h, w). Ids outside 0 ... C - 1, 255 among
                them, count nowhere.

        Raises:
            InputError: shapes that do not belong together, or features of another length than before.
        """
        points, ids = flatten(features, labels)
        if self.center.shape[1] == 0:
            self.center = np.zeros((self.classes, points.shape[1]))
        if points.shape[1] != self.center.shape[1]:
            raise InputError(
                f"class centers: features of length {points.shape[1]} after features of length "
                f"{self.center.shape[1]}; keep one gatherer per network"
            )
        for train_id in np.unique(ids[(ids >= 0) & (ids < self.classes)]):
            own = points[ids == train_id].astype(np.float64)
            center = own.mean(axis=0)
            self._merge(int(train_id), len(own), center, float(((own - center) ** 2).sum()))

    def _merge(self, train_id: int, count: int, center: Values, scatter: float) -> None:
        before = int(self.count[train_id])
        total, step = before + count, center - self.center[train_id]
        self.scatter[train_id] += scatter + float(step @ step) * before * count / total
        self.center[train_id] += step * (count / total)
        self.count[train_id] = total

    def merged(self, other: "ClassCenters") -> "ClassCenters":
        """The centers of both gatherers' features together. Raises InputError when they do not fit."""
        result = ClassCenters(self.classes)
        for part in (self, other):
            if part.center.shape[1] == 0:
                continue
            if result.center.shape[1] == 0:
                result.center = np.zeros((self.classes, part.center.shape[1]))
            if part.classes != self.classes or part.center.shape != result.center.shape:
                raise InputError("class centers: gathered for other classes or features; gather both alike")
            for train_id in np.flatnonzero(part.count):
                index = int(train_id)
                result._merge(index, int(part.count[index]), part.center[index], float(part.scatter[index]))
        return result

    def fada_distance(self) -> Values:
        r"""FADA's class center distance, lower is better.

        .. math:: CCD(i) = \frac{1}{K-1} \sum_{j \neq i}
            \frac{\frac{1}{|S_i|} \sum_{x \in S_i} \|x - \mu_i\|^2}{\|\mu_i - \mu_j\|^2}

        Classes without features are left out everywhere: K counts the others.

        Returns:
            (C,) float64 >= 0; NaN for a class without features, and when no other class has any; infinite
            where two centers coincide.

        Source: Wang et al., FADA, ECCV 2020, equation 9 (features of both domains together).
        """
        result = np.full(self.classes, np.nan)
        present = np.flatnonzero(self.count)
        for i in present:
            others = present[present != i]
            if not len(others):
                continue
            between = ((self.center[others] - self.center[i]) ** 2).sum(axis=1)
            within = self.scatter[i] / self.count[i]
            ratios = np.full(len(others), np.inf)
            np.divide(within, between, out=ratios, where=between > 0)
            result[i] = ratios.mean()
        return result


def clan_distance(source: ClassCenters, target: ClassCenters, reference: Values | None = None) -> Values:
    r"""CLAN's cluster center distance between the domains, lower is better.

    .. math:: d_i = \| \mu_i^{source} - \mu_i^{target} \|, \quad \text{normalized: } d_i / d_i^0

    Args:
        source: centers of the source's features.
        target: those of the target's.
        reference: :math:`d^0`, (C,): the distances of a reference network, as this function gives them
            without a reference. Features of different networks have different scales, so distances are only
            comparable with it.

    Returns:
        (C,) float64 >= 0; NaN for a class without features in one of the domains, or without reference.

    Source: Luo et al., CLAN, CVPR 2019, section 4.4 and figures 4 and 6.
    """
    distance: Values = np.linalg.norm(source.center - target.center, axis=1)
    distance[(source.count == 0) | (target.count == 0)] = np.nan
    if reference is None:
        return distance
    normalized = np.full(len(distance), np.nan)
    np.divide(distance, reference, out=normalized, where=np.nan_to_num(reference) > 0)
    return normalized


def class_center_distance(
    features: NDArray[Any] | Tensor,
    labels: NDArray[Any] | Tensor,
    classes: int,
    definition: Definition = "fada",
    *,
    domains: NDArray[Any] | Tensor | None = None,
    reference: Values | None = None,
) -> Values:
    """Class center distances of features that are in memory; `ClassCenters` gives the same for streams.

    Args:
        features: (P, F), or maps (F, h, w) or (N, F, h, w).
        labels: train ids at the features' resolution, (P,), (h, w) or (N, h, w); those outside 0 ... C - 1
            count nowhere.
        classes: C.
        definition: "fada", see `ClassCenters.fada_distance` (over all features, of whatever domain); "clan",
            see `clan_distance`.
        domains: of "clan": 0 for source and 1 for target, one per point (P,) or per map (N,).
        reference: of "clan": (C,) distances of the reference network.

    Returns:
        (C,) float64 >= 0; NaN for classes that have no distance.

    Raises:
        InputError: shapes that do not belong together, an unknown definition, or domains that are missing.
    """
    if definition not in ("fada", "clan"):
        raise InputError(f"definition = {definition}: unknown; use fada or clan")
    points, ids = flatten(features, labels)
    if definition == "fada":
        gathered = ClassCenters(classes)
        gathered.add(points, ids)
        return gathered.fada_distance()
    if domains is None:
        raise InputError("definition = clan compares two domains; give `domains`, 0 = source and 1 = target")
    of_point = as_array(domains).reshape(-1)
    if len(of_point) == 0 or len(ids) % len(of_point):
        raise InputError(
            f"domains: {len(of_point)} values for {len(ids)} points; give one per point or per map"
        )
    of_point = np.repeat(of_point, len(ids) // len(of_point))
    source, target = ClassCenters(classes), ClassCenters(classes)
    for domain, gathered in ((SOURCE, source), (TARGET, target)):
        gathered.add(points[of_point == domain], ids[of_point == domain])
    return clan_distance(source, target, reference)


def flatten(
    features: NDArray[Any] | Tensor, labels: NDArray[Any] | Tensor
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Features as points (P, F) with their labels (P,). Raises InputError for shapes that do not fit."""
    maps, ids = as_array(features), as_array(labels)
    if maps.ndim == 3:
        maps, ids = maps[None], ids[None]
    if maps.ndim not in (2, 4) or ids.shape != (maps.shape[0], *maps.shape[2:]):
        raise InputError(
            f"features {tuple(features.shape)} and labels {tuple(labels.shape)} do not belong together; give "
            "(P, F) and (P,), (F, h, w) and (h, w), or (N, F, h, w) and (N, h, w)"
        )
    return np.moveaxis(maps, 1, -1).reshape(-1, maps.shape[1]), ids.reshape(-1)


def as_array(values: NDArray[Any] | Tensor) -> NDArray[Any]:
    """Arrays as they are, tensors on the CPU without gradient; floating-point ones as float32 at least."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    plain = values.detach().cpu()
    # NumPy has no bfloat16.
    return plain.float().numpy() if plain.dtype in (torch.bfloat16, torch.float16) else plain.numpy()
