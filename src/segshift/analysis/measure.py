"""What the analyses measure: one network's features of two domains, gathered image by image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from segshift.analysis.class_centers import SOURCE, TARGET, ClassCenters, clan_distance
from segshift.analysis.embedding import PointSampler
from segshift.analysis.features import feature_maps
from segshift.analysis.retrieval import Retrieval, cross_domain_retrieval, split_queries
from segshift.data.dataset import SegmentationDataset
from segshift.data.labels import ClassSet
from segshift.data.sampling import evenly
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.evaluation import labelled_items
from segshift.evaluation.items import LabelledItems
from segshift.models.inference_config import Inference
from segshift.models.segmenter import Segmenter
from segshift.progress import Done

Values = NDArray[np.float64]


@dataclass
class Observed:
    """What one network's features of both domains leave behind.

    Sums per class, one descriptor per image and a bounded random sample of points: the features of no more
    than one image are ever in memory.

    Attributes:
        sampler: points for the t-SNE.
        centers: of the classes on the source and on the target.
        descriptors: (F,) of every image of either domain.
        entropy: mean entropy over log C of every image of either domain.
    """

    sampler: PointSampler
    centers: tuple[ClassCenters, ClassCenters]
    descriptors: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = field(
        default_factory=lambda: ([], [])
    )
    entropy: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))

    def fada_distance(self) -> Values:
        """(C,) FADA's class center distance over the features of both domains together."""
        return self.centers[SOURCE].merged(self.centers[TARGET]).fada_distance()

    def clan_distance(self, reference: Values | None = None) -> Values:
        """(C,) CLAN's distance of the two domains' centers, over `reference` if that is given."""
        return clan_distance(*self.centers, reference)

    def retrieval(self, seed: int = 0) -> Retrieval:
        """Cross-domain retrieval with a random half of each domain as the pool.

        Raises:
            InputError: a domain of fewer than two images.
        """
        source, target = (np.stack(descriptors) for descriptors in self.descriptors)
        source_pool, source_queries = split_queries(len(source), seed)
        target_pool, target_queries = split_queries(len(target), seed + 1)
        return cross_domain_retrieval(
            source[source_pool],
            target[target_pool],
            source[source_queries],
            target[target_queries],
            seed=seed,
        )

    def mean_entropy(self) -> tuple[float, float]:
        """Mean over the source's images and over the target's, in [0, 1]."""
        of_source, of_target = (math.fsum(values) / len(values) for values in self.entropy)
        return of_source, of_target


def observe(
    segmenter: Segmenter,
    source: LabelledItems,
    target: LabelledItems,
    names: tuple[Sequence[str], Sequence[str]],
    *,
    points: int = 40,
    inference: Inference | None = None,
    seed: int = 0,
    progress: Done = lambda done, total: None,
) -> Observed:
    """Look at every image of both domains once.

    Args:
        segmenter: on the device where it shall run.
        source: images with labels in the segmenter's train ids.
        target: with or without labels; without, its classes are the segmenter's own predictions.
        names: of the source's images and of the target's.
        points: of every class and domain that are sampled for the t-SNE.
        inference: at which size the network sees images, whole and unmirrored; None: at its own.
        seed: of the sample.
        progress: called with (images done, images in all).
    """
    count = segmenter.classes.count
    observed = Observed(PointSampler(points, seed=seed), (ClassCenters(count), ClassCenters(count)))
    done, total = 0, len(source) + len(target)
    for domain, items in ((SOURCE, source), (TARGET, target)):
        maps = feature_maps(segmenter, items, inference=inference)
        for name, seen in zip(names[domain], maps, strict=True):
            observed.centers[domain].add(seen.features, seen.labels)
            observed.descriptors[domain].append(seen.descriptor)
            observed.entropy[domain].append(seen.mean_entropy)
            observed.sampler.add(seen, domain, name)
            done += 1
            progress(done, total)
    return observed


def known_items(split: Split, classes: ClassSet) -> tuple[LabelledItems, tuple[str, ...]]:
    """A split's images with labels in the train ids of `classes`, and the classes among them that it has.

    An unlabelled split gives images alone, and all classes.

    Raises:
        InputError: a labelled split that has none of the classes.
    """
    if not split.labelled:
        return SegmentationDataset(split, split.classes, with_labels=False), classes.names
    try:
        return labelled_items(split, classes), classes.names
    except InputError:
        common = tuple(name for name in classes.names if name in split.classes.names)
        if not common:
            raise
        return labelled_items(split, classes, common), common


def spread_evenly(split: Split, limit: int) -> Split:
    """The split with at most `limit` of its images, spread evenly."""
    return replace(split, samples=tuple(split.samples[i] for i in evenly(len(split.samples), limit)))


def stems(split: Split) -> tuple[str, ...]:
    """The names of a split's images."""
    return tuple(sample.stem for sample in split.samples)
