"""Numbers of two domains that were read: how frequent the classes are, where they are, which colors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segshift.analysis.class_centers import DOMAINS
from segshift.analysis.diagnosis.domains import DomainContent
from segshift.analysis.diagnosis.statistics import (
    CHANNELS,
    LabelCounts,
    divergence_by_class,
    jensen_shannon_bits,
    layout_distance,
    placement_distance,
    spatial_distance,
    wasserstein,
)
from segshift.evaluation.confusion import mean_of_known

Domains = tuple[DomainContent, DomainContent]

_TELLING = 3
# Pixels of a stray annotation are no class of a domain.
_OCCURS_FROM = 1e-6


def class_frequencies(domains: Domains, names: Sequence[str]) -> dict[str, Any]:
    """Shares of the classes in pixels and images, their distance, and who lacks what."""
    counts = counts_of(domains)
    shares = [one.shares() for one in counts]
    terms = divergence_by_class(*shares)
    occurs = [one > _OCCURS_FROM for one in shares]
    order = np.argsort(-terms, kind="stable")
    return {
        "pixels": {domain: _by(names, one) for domain, one in zip(DOMAINS, shares, strict=True)},
        "images": {domain: _by(names, one.image_shares) for domain, one in zip(DOMAINS, counts, strict=True)},
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


def class_places(domains: Domains, names: Sequence[str]) -> dict[str, Any]:
    """Where the classes are."""
    counts = counts_of(domains)
    maps = (counts[0].maps(), counts[1].maps())
    placements = {name: placement_distance(maps[0][i], maps[1][i]) for i, name in enumerate(names)}
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


def color_statistics(domains: Domains) -> dict[str, Any]:
    """Mean, deviation and distance of the channels of RGB and Lab."""
    first, second = (domain.colors for domain in domains)
    assert first is not None and second is not None
    found: dict[str, Any] = {"wasserstein": {}}
    for domain, colors in zip(DOMAINS, (first, second), strict=True):
        values = [colors.mean_std(channel) for channel in range(len(CHANNELS))]
        found[domain] = {
            name: {"mean": mean, "std": std} for name, (mean, std) in zip(CHANNELS, values, strict=True)
        }
    for channel, name in enumerate(CHANNELS):
        found["wasserstein"][name] = wasserstein(first, second, channel)
    return found


def counts_of(domains: Domains) -> tuple[LabelCounts, LabelCounts]:
    """The pixel counts of domains that were read with their label maps."""
    first, second = (domain.counts for domain in domains)
    assert first is not None and second is not None
    return first, second


def _by(names: Sequence[str], values: Any) -> dict[str, float]:
    return dict(zip(names, np.asarray(values).tolist(), strict=True))
