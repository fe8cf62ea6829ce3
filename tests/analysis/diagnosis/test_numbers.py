"""The numbers of two domains that were read, on maps whose answers are known."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from segshift.analysis.diagnosis.domains import DomainContent
from segshift.analysis.diagnosis.maps import class_areas
from segshift.analysis.diagnosis.numbers import class_frequencies, class_places, color_statistics
from segshift.analysis.diagnosis.statistics import ColorCounts, LabelCounts

NAMES = ("sky", "road", "tram")
NOTHING = np.empty(0)


def domain(title: str, labels: list[NDArray[np.uint8]], gray: int) -> DomainContent:
    counts, colors = LabelCounts(len(NAMES), (4, 4)), ColorCounts()
    for index, label in enumerate(labels):
        counts.add(label, class_areas(label, len(NAMES), (4, 4)), index % 2)
        colors.add(np.full((8, 8, 3), gray, np.uint8))
    return DomainContent(
        title, counts, colors, NOTHING.astype(np.uint8), NOTHING.astype(np.uint8),
        NOTHING.astype(np.float32), NOTHING,
    )  # fmt: skip


@pytest.fixture
def domains() -> tuple[DomainContent, DomainContent]:
    """The source has sky above and road below; in the target road is above, and a fourth of it is tram."""
    source = np.zeros((8, 8), np.uint8)
    source[4:] = 1
    target = np.ones((8, 8), np.uint8)
    target[4:], target[0, :] = 0, 255
    target[2:4, :4] = 2
    return domain("source", [source] * 2, 50), domain("target", [target] * 2, 90)


def test_frequencies_and_who_lacks_what(domains: tuple[DomainContent, DomainContent]) -> None:
    found = class_frequencies(domains, NAMES)
    assert found["pixels"]["source"] == {"sky": 0.5, "road": 0.5, "tram": 0.0}
    assert found["pixels"]["target"] == pytest.approx({"sky": 32 / 56, "road": 16 / 56, "tram": 8 / 56})
    assert found["images"]["target"] == {"sky": 1.0, "road": 1.0, "tram": 1.0}
    assert found["ignored"] == {"source": 0.0, "target": 0.125}
    assert found["source_only"] == [] and found["target_only"] == ["tram"]
    assert found["most_different"][0] == "tram"
    assert sum(found["bits_of_classes"].values()) == pytest.approx(found["jensen_shannon_bits"], abs=1e-3)
    assert found["within_domain_bits"] == {"source": 0.0, "target": 0.0}


def test_places_are_compared_class_by_class(domains: tuple[DomainContent, DomainContent]) -> None:
    found = class_places(domains, NAMES)
    placement = found["placement"]["classes"]
    # Nothing of a class is where it is in the other domain.
    assert placement["sky"] == pytest.approx(1) and placement["road"] == pytest.approx(1)
    assert math.isnan(placement["tram"]) and found["placement"]["mean"] == pytest.approx(1)
    assert found["placement"]["within_domain"] == {"source": 0.0, "target": 0.0}


def test_colors_are_shifted_by_what_was_added(domains: tuple[DomainContent, DomainContent]) -> None:
    found = color_statistics(domains)
    assert found["source"]["red"] == {"mean": pytest.approx(50), "std": pytest.approx(0, abs=1e-6)}
    assert [found["wasserstein"][name] for name in ("red", "green", "blue")] == pytest.approx([40] * 3)
    assert found["wasserstein"]["a"] == pytest.approx(0, abs=1)
