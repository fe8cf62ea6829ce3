"""The pictures of a diagnosis: shares and places of classes, colors, and how well domains are told apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from segshift.analysis.class_centers import DOMAINS
from segshift.analysis.diagnosis.diagnose import Diagnosis
from segshift.analysis.diagnosis.numbers import counts_of
from segshift.analysis.diagnosis.recommendation import WHOLE
from segshift.analysis.diagnosis.separability import Separability
from segshift.analysis.diagnosis.statistics import CHANNELS, ColorCounts, wasserstein
from segshift.data.sampling import evenly
from segshift.pictures import Pixels, colorize
from segshift.report.colors import COLORS, DOMAIN_COLORS
from segshift.report.drawings.bars import draw_class_bars
from segshift.report.drawings.style import MUTED, SUFFIXES, chart, dash, hue_color, shorten
from segshift.report.plots import Bars, ClassBars

Values = NDArray[np.float64]
_EXAMPLES = 3
_MAPPED_CLASSES = 6
_CHANNEL_NAMES = ("red", "green", "blue", "Lab: lightness", "Lab: green to red", "Lab: blue to yellow")


def draw_diagnosis(found: Diagnosis, folder: Path) -> dict[str, list[str]]:
    """Draw every part that was measured; the file names by what they show."""
    drawings = Drawings(folder, found)
    parts = found.document["analyses"]
    if "frequencies" in parts:
        drawings.frequencies()
    if "spatial" in parts:
        drawings.spatial()
    if "colours" in parts:
        drawings.colors()
    for part in found.separability:
        drawings.separability(part)
    return drawings.written


@dataclass
class Drawings:
    """Draws a diagnosis into one folder and remembers what it drew.

    Attributes:
        folder: of the pictures.
        found: what was measured.
        written: file names of the pictures by what they show.
    """

    folder: Path
    found: Diagnosis
    written: dict[str, list[str]] = field(default_factory=dict)

    def frequencies(self) -> None:
        """Shares of the classes, the frequent ones first."""
        shares = [one.shares() for one in counts_of(self.found.domains)]
        by_size = np.argsort(-(shares[0] + shares[1]), kind="stable").tolist()
        names = [self.found.classes.names[index] for index in by_size]
        rows = [Bars(domain, domain, 100 * one[by_size]) for domain, one in zip(DOMAINS, shares, strict=True)]
        bars = ClassBars("How frequent the classes are", "% of the labelled pixels", names, rows)
        draw_class_bars(self._chart("frequencies"), bars, self._subtitle())

    def spatial(self) -> None:
        """Where the most frequent classes are."""
        counts = counts_of(self.found.domains)
        maps = (counts[0].maps(), counts[1].maps())
        common = counts[0].shares() + counts[1].shares()
        shown = [i for i in np.argsort(-common, kind="stable").tolist() if common[i] > 0][:_MAPPED_CLASSES]
        draw_spatial(
            self._chart("spatial"),
            (maps[0][shown], maps[1][shown]),
            [self.found.classes.names[i] for i in shown],
            self.found.document["analyses"]["spatial"]["placement"]["classes"],
            self._subtitle(),
        )

    def colors(self) -> None:
        """How the values of the channels are spread."""
        first, second = (domain.colors for domain in self.found.domains)
        assert first is not None and second is not None
        draw_colors(self._chart("colours"), (first, second), self._subtitle(of_labels=False))

    def separability(self, part: str) -> None:
        """The curves of one experiment beside example patches."""
        of_labels = part == "labels"
        what = "label maps" if of_labels else "images"
        sizes = self.found.patches
        draw_separability(
            self._chart(f"separability_{part}"),
            self.found.separability[part],
            {size: self._examples(of_labels, patch) for size, patch in sizes.items()},
            f"Can a classifier tell the domains apart by {what}?",
            self._subtitle(of_labels),
            self.found.size_px,
        )

    def _examples(self, of_labels: bool, patch: tuple[int, int] | None) -> tuple[list[Pixels], list[Pixels]]:
        """Some patches of source and target, as RGB: evenly spread images, places at random."""
        both: tuple[list[Pixels], list[Pixels]] = ([], [])
        random = np.random.default_rng(0)
        for domain, shown in zip(self.found.domains, both, strict=True):
            maps = domain.labels if of_labels else domain.images
            for place in evenly(len(maps), _EXAMPLES):
                one = maps[place]
                if patch is not None:
                    top = int(random.integers(0, one.shape[0] - patch[1] + 1))
                    left = int(random.integers(0, one.shape[1] - patch[0] + 1))
                    one = one[top : top + patch[1], left : left + patch[0]]
                picture = colorize(np.ascontiguousarray(one), self.found.classes) if of_labels else one
                shown.append(_enlarged(picture))
        return both

    def _subtitle(self, of_labels: bool = True) -> str:
        where = f"{self.found.domains[0].title} and {self.found.domains[1].title}"
        whose = "\nlabel maps of both domains: predictions of the network, not labels"
        return where + (whose if of_labels and self.found.predicted else "")

    def _chart(self, name: str) -> Path:
        self.written[name] = [name + suffix for suffix in SUFFIXES]
        return self.folder / name


def draw_spatial(
    path: Path,
    maps: tuple[Values, Values],
    names: Sequence[str],
    distances: Mapping[str, float],
    subtitle: str,
) -> None:
    """Where classes are: probability of each class at each place, source above target.

    Args:
        path: without a suffix; written as PNG and SVG.
        maps: (C, h, w) of source and target, of the classes to show.
        names: C names.
        distances: placement distance of the classes, in 0..1.
        subtitle: what was measured on what.
    """
    count = len(names)
    height, width = maps[0].shape[1:]
    cell = 1.75
    size = (max(5.0, count * cell + 0.9), 2 * cell * height / width + 1.5)
    title = "Where the classes are: probability at each place"
    with chart(path, size, title, subtitle, 2, count) as (_, axes):
        for column, name in enumerate(names):
            # One scale per class, so that rare classes are seen, the same for both domains.
            top = max(1e-9, float(max(maps[0][column].max(), maps[1][column].max())))
            for row, domain in enumerate(DOMAINS):
                one = axes[row][column]
                one.imshow(maps[row][column], cmap="magma", vmin=0, vmax=top, interpolation="nearest")
                one.set_xticks([])
                one.set_yticks([])
                if column == 0:
                    one.set_ylabel(domain, color=DOMAIN_COLORS[row], weight="bold")
            axes[0][column].set_title(shorten(name, 18), fontsize=9)
            distance = distances[name]
            text = "n/a" if math.isnan(distance) else f"{distance:.2f}"
            axes[1][column].set_xlabel(f"0 to {100 * top:.0f} %\nplacement {text}", fontsize=8, color=MUTED)


def draw_colors(path: Path, colors: tuple[ColorCounts, ColorCounts], subtitle: str) -> None:
    """Histograms of the channels of RGB and Lab of both domains, with their 1-D Wasserstein distances."""
    with chart(path, (9.4, 5.2), "Colors", subtitle, 2, 3) as (_, axes):
        for channel in range(len(CHANNELS)):
            one = axes[channel // 3][channel % 3]
            shown = [_smooth(counts.density(channel)) for counts in colors]
            values = colors[0].values(channel)
            for density, color, domain in zip(shown, DOMAIN_COLORS, DOMAINS, strict=True):
                one.fill_between(values, density, color=color, alpha=0.18, linewidth=0)
                one.plot(values, density, color=color, linewidth=1.3, label=domain)
            one.set_title(
                f"{_CHANNEL_NAMES[channel]}: {wasserstein(*colors, channel):.1f} apart", fontsize=9.5
            )
            one.set_yticks([])
            one.set_ylim(0, None)
            used = np.flatnonzero(shown[0] + shown[1] > 1e-5)
            if channel >= 4 and used.size:
                one.set_xlim(values[used[0]], values[used[-1]])
            else:
                one.set_xlim(values[0], values[-1])
        axes[0][0].legend(loc="best")


def draw_separability(
    path: Path,
    found: Mapping[str, Separability],
    examples: Mapping[str, tuple[Sequence[Pixels], Sequence[Pixels]]],
    title: str,
    subtitle: str,
    size_px: tuple[int, int],
) -> None:
    """Held-out error over iterations for every patch size, as in figure 1 of the local-alignment paper.

    Bands are one standard deviation over seeds, the dashed line is chance. Beside it stand example patches.

    Args:
        path: without a suffix; written as PNG and SVG.
        found: by patch size: px as text, small to large, and "whole".
        examples: by patch size, some RGB pictures (h, w, 3) of source and of target.
        title: heading.
        subtitle: what was measured on what.
        size_px: (width, height) of the network's input, for whole maps.
    """
    height = max(4.6, 0.95 * len(found) + 1.5)
    with chart(path, (10.4, height), title, subtitle, 1, 2, width_ratios=[1.25, 1]) as (
        _,
        ((axes, beside),),
    ):
        axes.axhline(0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.text(0.01, 0.507, "chance", color=MUTED, fontsize=8, ha="left", va="bottom",
                  transform=axes.get_yaxis_transform())  # fmt: skip
        for number, (size, one) in enumerate(reversed(list(found.items()))):
            color = hue_color(1 + number)
            mean, std = one.errors.mean(axis=0), one.curve_std
            low, high = one.interval
            label = (
                f"{_caption(size, size_px)}: {100 * one.error:.1f} % ({100 * low:.0f} to {100 * high:.0f})"
            )
            mark = "o" if len(one.iterations) == 1 else None
            style = dash(number // (COLORS - 1))
            axes.plot(one.iterations, mean, color=color, linestyle=style, label=label, marker=mark)
            axes.fill_between(
                one.iterations, mean - std, np.minimum(mean + std, 1), color=color, alpha=0.15, linewidth=0
            )
        axes.set_ylim(0, max(0.6, *(float(one.errors.max()) + 0.03 for one in found.values())))
        axes.set_xlim(0, None)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("iterations of the classifier")
        axes.set_ylabel("error on held-out images")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(axis="y")
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.13), title="final error (95 % interval)", ncols=1
        )
        beside.set_axis_off()
        _draw_examples(beside, examples, size_px)


def _draw_examples(
    place: Axes,
    examples: Mapping[str, tuple[Sequence[Pixels], Sequence[Pixels]]],
    size_px: tuple[int, int],
) -> None:
    """A grid inside `place`: a row for each size, some patches of the source and some of the target."""
    rows = len(examples)
    columns = 2 * _EXAMPLES
    step_x, step_y = 1 / (columns + 0.35), 1 / (rows + 0.25)
    for domain, (name, color) in enumerate(zip(DOMAINS, DOMAIN_COLORS, strict=True)):
        center = (domain * (_EXAMPLES + 0.35) + _EXAMPLES / 2) * step_x
        place.text(center, 1.0, name, color=color, weight="bold", ha="center", va="top",
                   transform=place.transAxes)  # fmt: skip
    for row, (size, both) in enumerate(reversed(list(examples.items()))):
        bottom = 1 - 0.2 * step_y - (row + 1) * step_y
        place.text(
            -0.01, bottom + step_y / 2, _caption(size, size_px, short=True), ha="right", va="center",
            fontsize=8, transform=place.transAxes,
        )  # fmt: skip
        for domain, patches in enumerate(both):
            for index, patch in enumerate(patches[:_EXAMPLES]):
                left = (domain * (_EXAMPLES + 0.35) + index) * step_x
                box = place.inset_axes((left, bottom, 0.93 * step_x, 0.86 * step_y))
                box.imshow(patch, interpolation="nearest")
                box.set_xticks([])
                box.set_yticks([])


def _caption(size: str, size_px: tuple[int, int], short: bool = False) -> str:
    if size != WHOLE:
        return f"{size} px"
    return WHOLE if short else f"whole, {size_px[0]} x {size_px[1]} px"


def _smooth(density: Values) -> Values:
    """A histogram without the comb that stretched 8-bit values leave."""
    kernel = np.array([1, 2, 3, 2, 1]) / 9
    smooth: Values = np.convolve(density, kernel, mode="same")
    return smooth


def _enlarged(picture: Pixels) -> Pixels:
    """Hard pixels, so that viewers do not blur small ones."""
    factor = max(1, 96 // max(picture.shape[:2]))
    size = (picture.shape[1] * factor, picture.shape[0] * factor)
    large = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(large, np.uint8)
