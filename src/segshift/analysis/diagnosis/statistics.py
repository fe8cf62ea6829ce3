"""Distances between two domains that need no classifier: class shares, class maps, and colors."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from segshift.analysis.diagnosis.maps import Areas
from segshift.pictures import Pixels

Values = NDArray[np.float64]

CHANNELS = ("red", "green", "blue", "L", "a", "b")
"""The channels of the color statistics: RGB in 0..255, and CIE Lab."""
_RANGES = ((0.0, 255.0),) * 3 + ((0.0, 100.0), (-128.0, 127.0), (-128.0, 127.0))
_BINS = 256
_STRETCHES = 4
_COLOR_PIXELS = 40_000


def half_of(index: int, count: int) -> int:
    """0 or 1: the half of a domain to which an image belongs. Halves are made of long stretches, by turns."""
    return index * _STRETCHES // count % 2


@dataclass
class LabelCounts:
    """Pixels of classes and where they are, for two halves of a domain.

    Attributes:
        classes: C.
        grid: (width, height) in cells of the spatial maps.
        pixels: (2, C) share of an image's pixels, summed over images.
        images: (2, C) images with at least one pixel.
        ignored: (2,) share of ignored pixels, summed over images.
        areas: (2, C, h, w) share of every cell, summed over images.
        count: (2,) images.
    """

    classes: int
    grid: tuple[int, int]
    pixels: Values = field(init=False)
    images: Values = field(init=False)
    ignored: Values = field(init=False)
    areas: Values = field(init=False)
    count: Values = field(init=False)

    def __post_init__(self) -> None:
        width, height = self.grid
        self.pixels, self.images = np.zeros((2, self.classes)), np.zeros((2, self.classes))
        self.ignored, self.count = np.zeros(2), np.zeros(2)
        self.areas = np.zeros((2, self.classes, height, width))

    def add(self, label: Pixels, areas: Areas, half: int) -> None:
        """Count one label map (H, W) and its `class_areas` (C + 1, h, w) on a grid of any size."""
        counts = np.bincount(label.ravel(), minlength=256)[: self.classes]
        self.pixels[half] += counts / label.size
        self.images[half] += counts > 0
        self.ignored[half] += (label.size - counts.sum()) / label.size
        self.count[half] += 1
        for train_id in np.flatnonzero(counts).tolist():
            self.areas[half, train_id] += cv2.resize(areas[train_id], self.grid, interpolation=cv2.INTER_AREA)

    def shares(self, half: int | None = None) -> Values:
        """(C,) share of each class among the labelled pixels; sums to 1, or all 0 without any."""
        return _normalized(self.pixels.sum(axis=0) if half is None else self.pixels[half])

    @property
    def image_shares(self) -> Values:
        """(C,) share of the images in which a class occurs."""
        shares: Values = self.images.sum(axis=0) / max(1.0, float(self.count.sum()))
        return shares

    @property
    def ignored_share(self) -> float:
        """Of all pixels."""
        return float(self.ignored.sum() / max(1.0, float(self.count.sum())))

    def maps(self, half: int | None = None) -> Values:
        """(C, h, w) probability of each class at each place, among labelled pixels; 0 where none is."""
        areas = self.areas.sum(axis=0) if half is None else self.areas[half]
        total = areas.sum(axis=0)
        maps: Values = areas / np.where(total > 0, total, 1)
        return maps


@dataclass
class ColorCounts:
    """Histograms of a domain's colors.

    Attributes:
        histograms: (6, 256) of `CHANNELS`; each image counts the same.
    """

    histograms: Values = field(default_factory=lambda: np.zeros((len(CHANNELS), _BINS)))

    def add(self, image: Pixels) -> None:
        """Count one image (H, W, 3) RGB: all its pixels, or every n-th row and column of a large one."""
        step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / _COLOR_PIXELS)))
        rgb = np.ascontiguousarray(image[::step, ::step])
        lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
        planes = [*rgb.transpose(2, 0, 1), *lab.transpose(2, 0, 1)]
        for channel, (plane, (low, high)) in enumerate(zip(planes, _RANGES, strict=True)):
            places = (plane.ravel().astype(np.float64) - low) / (high - low) * (_BINS - 1)
            places = np.clip(np.rint(places), 0, _BINS - 1).astype(np.int64)
            self.histograms[channel] += np.bincount(places, minlength=_BINS) / places.size

    def values(self, channel: int) -> Values:
        """(256,) the values of the histogram's bins, in the channel's own unit."""
        low, high = _RANGES[channel]
        return np.linspace(low, high, _BINS)

    def density(self, channel: int) -> Values:
        """(256,) sums to 1."""
        return _normalized(self.histograms[channel])

    def mean_std(self, channel: int) -> tuple[float, float]:
        """Mean and standard deviation of a channel over all pixels."""
        values, density = self.values(channel), self.density(channel)
        mean = float((values * density).sum())
        return mean, float(np.sqrt((density * (values - mean) ** 2).sum()))


def wasserstein(a: ColorCounts, b: ColorCounts, channel: int) -> float:
    """The 1-D Wasserstein distance of a channel, in its own unit: by how much colors are shifted on average.

    The area between the two distribution functions.
    """
    values = a.values(channel)
    gaps = np.abs(np.cumsum(a.density(channel)) - np.cumsum(b.density(channel)))
    return float(gaps[:-1].sum() * (values[1] - values[0]))


def jensen_shannon_bits(p: Values, q: Values) -> Values:
    """The Jensen-Shannon divergence over the first axis, in bits: 0 for equal, 1 for disjoint distributions.

    Args:
        p: (C, ...) that sum to 1 over the first axis.
        q: of the same shape.

    Returns:
        (...) float64.
    """
    terms = _divergence_terms(p, q)
    total: Values = np.maximum(terms.sum(axis=0), 0.0)
    return total


def divergence_by_class(p: Values, q: Values) -> Values:
    """(C,) what each class contributes to `jensen_shannon_bits`; every one is at least 0."""
    return np.maximum(_divergence_terms(p, q), 0.0)


def _divergence_terms(p: Values, q: Values) -> Values:
    middle = (p + q) / 2
    terms = np.zeros_like(middle)
    for part in (p, q):
        ratio = np.divide(part, middle, out=np.ones_like(middle), where=(part > 0) & (middle > 0))
        terms += part / 2 * np.log2(np.where(part > 0, ratio, 1.0))
    return terms


def spatial_distance(a: Values, b: Values) -> float:
    """The mean over all places of the Jensen-Shannon divergence of the classes there, in bits.

    Args:
        a: (C, h, w) as `LabelCounts.maps` gives them; places without a label in either are left out.
        b: likewise.
    """
    known = (a.sum(axis=0) > 0) & (b.sum(axis=0) > 0)
    if not known.any():
        return float("nan")
    return float(jensen_shannon_bits(a[:, known], b[:, known]).mean())


def placement_distance(a: Values, b: Values) -> float:
    """How differently one class is placed: the total variation of where its pixels are, in 0..1.

    How frequent the class is does not matter. NaN where a domain has none of it.

    Args:
        a: probability of the class at each place, (h, w) or some of the places.
        b: likewise.
    """
    if a.sum() <= 0 or b.sum() <= 0:
        return float("nan")
    return float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)


def layout_distance(a: Values, b: Values) -> float:
    """The mean `placement_distance` of the classes that both domains have, weighted by their shares, in 0..1.

    Args:
        a: (C, h, w) as `LabelCounts.maps` gives them; places without a label in either are left out.
        b: likewise.

    Returns:
        0 for classes in the same places, however frequent they are; NaN without a common class.
    """
    known = (a.sum(axis=0) > 0) & (b.sum(axis=0) > 0)
    distances = np.array([placement_distance(x[known], y[known]) for x, y in zip(a, b, strict=True)])
    common = ~np.isnan(distances)
    if not common.any():
        return float("nan")
    shares = (a + b)[:, known].sum(axis=1)[common]
    return float((shares * distances[common]).sum() / shares.sum())


def _normalized(counts: Values) -> Values:
    total = float(counts.sum())
    shares: Values = counts / total if total > 0 else np.zeros_like(counts)
    return shares
