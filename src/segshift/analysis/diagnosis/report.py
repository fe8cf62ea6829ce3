"""Numbers and pictures of two domains that were read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segshift.analysis.bar_charts import draw_class_bars
from segshift.analysis.chart_style import DOMAIN_COLORS, DOMAINS, SUFFIXES
from segshift.analysis.diagnosis.charts import draw_colors, draw_separability, draw_spatial
from segshift.analysis.diagnosis.domains import Domain
from segshift.analysis.diagnosis.separability import Separability
from segshift.analysis.diagnosis.statistics import (
    CHANNELS,
    ClassCounts,
    divergence_by_class,
    jensen_shannon_bits,
    layout_distance,
    placement_distance,
    spatial_distance,
    wasserstein,
)
from segshift.data.labels import ClassSet
from segshift.evaluation.confusion import mean_of_known
from segshift.pictures import Pixels, colorize

_EXAMPLES = 3
_MAPPED_CLASSES = 6
_TELLING = 3
# Pixels of a stray annotation are no class of a domain.
_OCCURS_FROM = 1e-6


@dataclass
class Reporter:
    """Draws into one folder and remembers what it drew.

    Attributes:
        folder: of the pictures.
        domains: source and target.
        classes: of the label maps.
        size_px: (width, height) of the network's input.
        predicted: label maps are predictions.
        written: file names of the pictures by what they show.
    """

    folder: Path
    domains: tuple[Domain, Domain]
    classes: ClassSet
    size_px: tuple[int, int]
    predicted: bool
    written: dict[str, list[str]] = field(default_factory=dict)

    def frequencies(self, drawn: bool = True) -> dict[str, Any]:
        """Shares of the classes in pixels and images, their distance, and who lacks what."""
        counts = self._counts()
        shares = [one.shares() for one in counts]
        terms = divergence_by_class(*shares)
        occurs = [one > _OCCURS_FROM for one in shares]
        names = self.classes.names
        order = np.argsort(-terms, kind="stable")
        if drawn:
            by_size = np.argsort(-(shares[0] + shares[1]), kind="stable").tolist()
            draw_class_bars(
                self._chart("frequencies"),
                {
                    domain: [100 * float(one[index]) for index in by_size]
                    for domain, one in zip(DOMAINS, shares, strict=True)
                },
                [names[index] for index in by_size],
                title="How frequent the classes are",
                subtitle=self._subtitle(),
                unit="% of the labelled pixels",
                colors=dict(zip(DOMAINS, DOMAIN_COLORS, strict=True)),
            )
        return {
            "pixels": {domain: _by(names, one) for domain, one in zip(DOMAINS, shares, strict=True)},
            "images": {
                domain: _by(names, one.image_shares) for domain, one in zip(DOMAINS, counts, strict=True)
            },
            "ignored": {domain: one.ignored_share for domain, one in zip(DOMAINS, counts, strict=True)},
            "jensen_shannon_bits": float(jensen_shannon_bits(*shares)),
            "within_domain_bits": {
                domain: float(jensen_shannon_bits(one.shares(0), one.shares(1)))
                for domain, one in zip(DOMAINS, counts, strict=True)
            },
            "bits_of_classes": _by(names, terms),
            "most_different": [names[i] for i in order[:_TELLING].tolist() if terms[i] > 1e-4],
            "source_only": [name for i, name in enumerate(names) if occurs[0][i] and not occurs[1][i]],
            "target_only": [name for i, name in enumerate(names) if occurs[1][i] and not occurs[0][i]],
        }

    def spatial(self, drawn: bool = True) -> dict[str, Any]:
        """Where the classes are."""
        counts = self._counts()
        maps = (counts[0].maps(), counts[1].maps())
        names = self.classes.names
        placements = {name: placement_distance(maps[0][i], maps[1][i]) for i, name in enumerate(names)}
        common = counts[0].shares() + counts[1].shares()
        shown = [i for i in np.argsort(-common, kind="stable").tolist() if common[i] > 0][:_MAPPED_CLASSES]
        if drawn:
            draw_spatial(
                self._chart("spatial"),
                (maps[0][shown], maps[1][shown]),
                [names[i] for i in shown],
                placements,
                self._subtitle(),
            )
        return {
            "grid": list(counts[0].grid),
            "jensen_shannon_bits": spatial_distance(*maps),
            "within_domain_bits": {
                domain: spatial_distance(one.maps(0), one.maps(1))
                for domain, one in zip(DOMAINS, counts, strict=True)
            },
            "placement": {
                "mean": mean_of_known(np.array(list(placements.values()))),
                "mean_by_share": layout_distance(*maps),
                "within_domain": {
                    domain: layout_distance(one.maps(0), one.maps(1))
                    for domain, one in zip(DOMAINS, counts, strict=True)
                },
                "classes": placements,
            },
            "mean_difference": _by(names, np.abs(maps[0] - maps[1]).mean(axis=(1, 2))),
        }

    def colors(self) -> dict[str, Any]:
        """Mean, deviation and distance of the channels of RGB and Lab."""
        first, second = (domain.colors for domain in self.domains)
        assert first is not None and second is not None
        draw_colors(self._chart("colours"), (first, second), self._subtitle(of_labels=False))
        found: dict[str, Any] = {"wasserstein": {}}
        for domain, colors in zip(DOMAINS, (first, second), strict=True):
            values = [colors.mean_std(channel) for channel in range(len(CHANNELS))]
            found[domain] = {
                name: {"mean": mean, "std": std} for name, (mean, std) in zip(CHANNELS, values, strict=True)
            }
        for channel, name in enumerate(CHANNELS):
            found["wasserstein"][name] = wasserstein(first, second, channel)
        return found

    def separability(
        self, part: str, found: Mapping[str, Separability], sizes: Mapping[str, tuple[int, int] | None]
    ) -> None:
        """The curves of one experiment beside example patches."""
        of_labels = part == "labels"
        draw_separability(
            self._chart(f"separability_{part}"),
            found,
            {size: self._examples(of_labels, patch) for size, patch in sizes.items()},
            "Can a classifier tell the domains apart by label maps?"
            if of_labels
            else "Can a classifier tell the domains apart by images?",
            self._subtitle(of_labels),
            self.size_px,
        )

    def _examples(self, of_labels: bool, patch: tuple[int, int] | None) -> tuple[list[Pixels], list[Pixels]]:
        """Some patches of source and target, as RGB: evenly spread images, places at random."""
        both: tuple[list[Pixels], list[Pixels]] = ([], [])
        random = np.random.default_rng(0)
        for domain, shown in zip(self.domains, both, strict=True):
            maps = domain.labels if of_labels else domain.images
            for number in range(_EXAMPLES):
                one = maps[(2 * number + 1) * len(maps) // (2 * _EXAMPLES)]
                if patch is not None:
                    top = int(random.integers(0, one.shape[0] - patch[1] + 1))
                    left = int(random.integers(0, one.shape[1] - patch[0] + 1))
                    one = one[top : top + patch[1], left : left + patch[0]]
                picture = colorize(np.ascontiguousarray(one), self.classes) if of_labels else one
                shown.append(_enlarged(picture))
        return both

    def _counts(self) -> tuple[ClassCounts, ClassCounts]:
        first, second = (domain.counts for domain in self.domains)
        assert first is not None and second is not None
        return first, second

    def _subtitle(self, of_labels: bool = True) -> str:
        where = f"{self.domains[0].title} and {self.domains[1].title}"
        whose = "\nlabel maps of both domains: predictions of the network, not labels"
        return where + (whose if of_labels and self.predicted else "")

    def _chart(self, name: str) -> Path:
        self.written[name] = [name + suffix for suffix in SUFFIXES]
        return self.folder / name


def _by(names: Sequence[str], values: Any) -> dict[str, float]:
    return dict(zip(names, np.asarray(values).tolist(), strict=True))


def _enlarged(picture: Pixels) -> Pixels:
    """Hard pixels, so that viewers do not blur small ones."""
    factor = max(1, 96 // max(picture.shape[:2]))
    size = (picture.shape[1] * factor, picture.shape[0] * factor)
    large = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(large, np.uint8)
