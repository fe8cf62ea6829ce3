"""What of two domains is diagnosed, and how."""

from dataclasses import dataclass, field

from segshift.analysis.diagnosis.recommendation import WHOLE
from segshift.analysis.diagnosis.separability import SeparabilitySettings
from segshift.errors import InputError
from segshift.sizes import WidthHeight

PARTS = ("frequencies", "spatial", "colours", "labels", "images", "features", "confidence")
_SIZE = WidthHeight((480, 360))
_LONGER_SIDE_CELLS = 128
_PATCH_SHARES = (8, 4, 2)


@dataclass(frozen=True)
class DiagnosisSettings:
    """What is diagnosed, and how.

    Attributes:
        only: some of `PARTS`; None makes all that are possible and says what was left out, and why.
        images: of each domain, spread evenly over its split; fewer where there are fewer.
        size: (width, height) in px at which networks will see the images; patch sizes relate to it.
        canvas: (width, height) in cells to which label maps and images are brought, and patches after they
            are cut; None takes `size`, scaled so that the longer side is at most 128.
        patches: sides of the square patches in px of `size`; None takes 1/8, 1/4 and 1/2 of its shorter side.
        keep_ignored: let ignored pixels be a class instead of filling them from their surroundings.
        experiment: how the classifiers are trained.
    """

    only: tuple[str, ...] | None = None
    images: int = 300
    size: WidthHeight = _SIZE
    canvas: WidthHeight | None = None
    patches: tuple[int, ...] | None = None
    keep_ignored: bool = False
    experiment: SeparabilitySettings = field(default_factory=SeparabilitySettings)

    @property
    def canvas_cells(self) -> WidthHeight:
        """(width, height) of the canvas."""
        if self.canvas is not None:
            return self.canvas
        factor = min(1.0, _LONGER_SIDE_CELLS / max(self.size))
        return WidthHeight((max(1, round(self.size[0] * factor)), max(1, round(self.size[1] * factor))))

    def patch_sizes(self) -> dict[str, WidthHeight | None]:
        """Cells (width, height) of each patch size by its px, small to large, then None for whole maps.

        Raises:
            InputError: patches that are too large for the input, or too small for the canvas.
        """
        shorter = min(self.size)
        sides = self.patches if self.patches is not None else [round(shorter / n) for n in _PATCH_SHARES]
        width_px, height_px = self.size
        width, height = self.canvas_cells
        sizes: dict[str, WidthHeight | None] = {}
        for side in sorted(set(sides)):
            cells = WidthHeight((round(side * width / width_px), round(side * height / height_px)))
            if side > shorter:
                raise InputError(
                    f"--patches {side}: larger than the shorter side of --size {width_px}x{height_px}; leave "
                    "it out (whole maps are always tried) or give a larger --size"
                )
            if min(cells) < 2:
                raise InputError(
                    f"--patches {side}: less than 2 cells of the canvas of {width}x{height}; give larger "
                    "patches or a larger --canvas"
                )
            sizes[str(side)] = cells
        return {**sizes, WHOLE: None}
