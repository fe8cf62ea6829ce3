"""A picture of the patch modes: for each of the largest, label patches that belong to it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from segshift.data.labels import ClassSet
from segshift.data.spec import Split
from segshift.data.transforms import Augmentation
from segshift.errors import InputError
from segshift.files import atomic_path
from segshift.methods.patch_modes import Patches, PatchModes, Sampling, discover_modes, sample_patches
from segshift.pictures import INK, PAPER, colorize, legend, present_ids, strip
from segshift.plain import one_line

Pixels = NDArray[np.uint8]

_PER_ROW, _ROWS = 4, 2
_LONGER_SIDE_PX = 80
_GAP_PX = 4
_FONT_PX = 16
_CARDS_PER_ROW = 4
# Beyond this the examples are outliers, which would speak louder than they should among eight.
_LEAST_TYPICAL = 0.95
_NAMED_CLASSES, _NAMED_SHARE = 3, 0.05


@dataclass(frozen=True, eq=False)
class ModesReport:
    """The modes of a labelled split, with examples.

    Attributes:
        title: data set and split.
        classes: of its labels.
        patches: what a patch is.
        modes: the clusters, the largest first.
        sampled: number of patches that were clustered.
        examples: for each mode (E, height, width) uint8 label patches, from typical to unusual.
    """

    title: str
    classes: ClassSet
    patches: Patches
    modes: PatchModes
    sampled: int
    examples: tuple[Pixels, ...] = field(repr=False)

    def class_shares(self, mode: int) -> dict[str, float]:
        """Mean share of each class in the patches of a mode, the largest first, without zeros."""
        shares = self.modes.centers[mode].view(-1, self.classes.count).mean(dim=0)
        order = shares.argsort(descending=True, stable=True).tolist()
        return {self.classes.names[index]: float(shares[index]) for index in order if shares[index] > 0}

    def to_dict(self) -> dict[str, object]:
        """Everything but the examples, for JSON."""
        return {
            "data": self.title,
            "patch_px": [self.patches.width_px, self.patches.height_px],
            "patches": self.sampled,
            "modes": [
                {"mode": mode, "share": float(share), "classes": self.class_shares(mode)}
                for mode, share in enumerate(self.modes.shares)
            ],
        }


def report_modes(
    split: Split, patches: Patches, sampling: Sampling, size: tuple[int, int] | None = None
) -> ModesReport:
    """Cluster the patches of a split's label maps, as the term `patch` does, and keep examples of each mode.

    Args:
        split: a labelled one; its images are not opened.
        patches: what a patch is; its classes are the split's.
        sampling: as in training.
        size: (width, height) to which label maps are resized; None keeps their own.

    Raises:
        InputError: a split without labels, an unreadable label, or what cannot be clustered.
    """
    if not split.labelled:
        raise InputError(
            f"{split.title} has no labels, and patch modes are modes of label maps; name another"
        )
    samples = [
        drawn.to(torch.uint8) for drawn in sample_patches(_maps(split, sampling, size), patches, sampling)
    ]
    modes = discover_modes(samples, patches, sampling)
    drawn = torch.cat(samples)
    examples = tuple(_examples(drawn, modes, patches, mode) for mode in range(len(modes.centers)))
    return ModesReport(split.title, split.classes, patches, modes, len(drawn), examples)


def draw_modes(report: ModesReport, path: Path, shown: int = 24) -> None:
    """Write the picture: a card for each of the largest modes with its share, main classes and examples."""
    number = min(shown, len(report.examples))
    cards = [(_caption(report, mode), _card(report, mode)) for mode in range(number)]
    rows = [cards[first : first + _CARDS_PER_ROW] for first in range(0, number, _CARDS_PER_ROW)]
    present = present_ids(
        [patch for patches in report.examples[:number] for patch in patches], report.classes
    )
    width = cards[0][1].width
    total = _CARDS_PER_ROW * (width + _FONT_PX)
    footer = legend(report.classes, present, width=total, font_px=_FONT_PX)
    sheet = strip(rows, cell_width=width, font_px=_FONT_PX, footer=footer)
    with atomic_path(path) as temporary:
        _titled(sheet, _title(report, number)).save(temporary, format="PNG")


def _maps(split: Split, sampling: Sampling, size: tuple[int, int] | None) -> Iterator[Tensor]:
    """(1, H, W) train ids of up to `images` label maps, spread evenly."""
    resize = Augmentation(resize=size)
    count = min(sampling.images, len(split.samples))
    for index in range(count):
        file = split.samples[index * len(split.samples) // count].label
        assert file is not None  # the split is labelled
        label = torch.from_numpy(split.decoder.read(file))
        # Labels are resized together with an image; this one has nothing to show.
        _, label_map = resize(torch.zeros(3, *label.shape, dtype=torch.uint8), label, None)
        assert label_map is not None
        yield label_map[None].long()


def _examples(drawn: Tensor, modes: PatchModes, patches: Patches, mode: int) -> Pixels:
    """Members of a mode at even steps of the way from its center to almost its rim."""
    members = drawn[modes.assignment == mode]
    histograms = patches.histograms(members.long())[:, 0, 0]
    distance = (histograms - modes.centers[mode]).square().sum(dim=1)
    ranked = members[distance.argsort(stable=True)]
    places = torch.linspace(0, _LEAST_TYPICAL * (len(ranked) - 1), _PER_ROW * _ROWS).long()
    chosen: Pixels = ranked[torch.unique(places)].numpy()
    return chosen


def _caption(report: ModesReport, mode: int) -> str:
    shares = list(report.class_shares(mode).items())
    named = [pair for pair in shares[:_NAMED_CLASSES] if pair[1] >= _NAMED_SHARE] or shares[:1]
    listed = ", ".join(f"{name} {100 * share:.0f}" for name, share in named)
    return f"mode {mode}:  {100 * report.modes.shares[mode]:.1f} % of the patches\n{listed} %"


def _card(report: ModesReport, mode: int) -> Image.Image:
    """The examples of a mode, row by row, with some paper at the right that keeps cards apart."""
    scale = _LONGER_SIDE_PX / max(report.patches.size)
    width, height = (
        max(1, round(scale * side)) for side in (report.patches.width_px, report.patches.height_px)
    )
    across, down = _PER_ROW * (width + _GAP_PX), _ROWS * (height + _GAP_PX)
    card = Image.new("RGB", (across + _FONT_PX // 2, down - _GAP_PX), PAPER)
    for place, patch in enumerate(report.examples[mode]):
        row, column = divmod(place, _PER_ROW)
        picture = Image.fromarray(colorize(patch, report.classes))
        corner = (column * (width + _GAP_PX), row * (height + _GAP_PX))
        card.paste(picture.resize((width, height), Image.Resampling.NEAREST), corner)
    return card


def _title(report: ModesReport, number: int) -> Sequence[str]:
    size = f"{report.patches.width_px} x {report.patches.height_px} px"
    share = 100 * float(report.modes.shares[:number].sum())
    return (
        f"Patch modes of {report.title}",
        f"the {number} largest of {len(report.examples)} modes, {share:.0f} % of {report.sampled} patches "
        f"of {size}; typical ones first in each; black: no label",
    )


def _titled(sheet: Image.Image, lines: Sequence[str]) -> Image.Image:
    """The sheet below a heading and a smaller line."""
    margin, heading = round(1.25 * _FONT_PX), round(1.4 * _FONT_PX)
    height = margin + 2 * heading + _FONT_PX
    canvas = Image.new("RGB", (sheet.width, height + sheet.height - margin), PAPER)
    canvas.paste(sheet, (0, height - margin))
    draw = ImageDraw.Draw(canvas)
    draw.text((margin, margin), one_line(lines[0]), fill=INK, font=ImageFont.load_default(size=heading))
    draw.text(
        (margin, margin + round(1.4 * heading)),
        lines[1],
        fill=INK,
        font=ImageFont.load_default(size=_FONT_PX),
    )
    return canvas
