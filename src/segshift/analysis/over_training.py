"""How the class center distances move while a network trains: CLAN's figure 4, left."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segshift.analysis.measure import observe
from segshift.evaluation.confusion import mean_of_known
from segshift.evaluation.items import LabelledItems
from segshift.models.inference_config import Inference
from segshift.models.segmenter import Segmenter
from segshift.progress import Done

Values = NDArray[np.float64]


@dataclass(frozen=True)
class CentersOverTraining:
    """The class center distances of one run's networks.

    Attributes:
        steps: S numbers of steps done, ascending.
        fada: (S, C) FADA's distances, NaN for classes without features.
        clan: (S, C) CLAN's distances over those of the first step, likewise.
    """

    steps: tuple[int, ...]
    fada: Values
    clan: Values

    def means(self, train_ids: Sequence[int]) -> tuple[list[float], list[float]]:
        """FADA's and CLAN's distance at every step, the mean over those of the classes that have one."""
        chosen = list(train_ids)
        fada, clan = ([mean_of_known(row[chosen]) for row in values] for values in (self.fada, self.clan))
        return fada, clan


def centers_over_training(
    steps: Sequence[int],
    network: Callable[[int], Segmenter],
    source: LabelledItems,
    target: LabelledItems,
    names: tuple[Sequence[str], Sequence[str]],
    *,
    inference: Inference | None = None,
    progress: Done = lambda done, total: None,
) -> CentersOverTraining:
    """Measure the networks of a run one after the other; one is in memory at a time.

    Args:
        steps: ascending; by the distances of the first, step 0 in the paper, CLAN's are divided.
        network: gives the one of a step, on the device where it shall run.
        source: images with labels in the networks' train ids.
        target: with or without labels; without, its classes are each network's own predictions.
        names: of the source's images and of the target's.
        inference: at which size each network sees images, whole and unmirrored; None: at its own.
        progress: called with (networks done, networks in all).

    Source: Luo et al., CLAN, CVPR 2019, section 4.4 and figure 4.
    """
    fada: list[Values] = []
    clan: list[Values] = []
    reference: Values | None = None
    for index, step in enumerate(steps):
        progress(index, len(steps))
        found = observe(network(step), source, target, names, points=1, inference=inference)
        reference = found.clan_distance() if reference is None else reference
        fada.append(found.fada_distance())
        clan.append(found.clan_distance(reference))
    return CentersOverTraining(tuple(steps), np.stack(fada), np.stack(clan))
