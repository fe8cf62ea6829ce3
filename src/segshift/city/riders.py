"""Pictures of bicycles and motorcycles, parked or ridden."""

from __future__ import annotations

import numpy as np

from segshift.city.classes import BICYCLE, MOTORCYCLE, RIDER
from segshift.city.people import Drawing, Figure, Outfit
from segshift.city.styles import Style


def _bicycle_side(drawing: Drawing, rng: np.random.Generator) -> None:
    frame = rng.uniform(20, 220, 3)
    for x in (-0.52, 0.52):
        drawing.wheel(x, 0.34, 0.05, BICYCLE)
    seat, handle, crank = (-0.2, 0.78), (0.36, 0.84), (-0.06, 0.32)
    for a, b in (
        ((-0.52, 0.34), seat),
        (seat, crank),
        (crank, handle),
        (seat, handle),
        ((-0.52, 0.34), crank),
    ):
        drawing.limb([a, b], 0.045, frame, BICYCLE)
    drawing.limb([(0.52, 0.34), (0.34, 0.98), (0.46, 1.0)], 0.045, frame * 0.8, BICYCLE)
    drawing.limb([seat, (-0.24, 0.92)], 0.04, frame * 0.6, BICYCLE)
    drawing.limb([(-0.36, 0.94), (-0.12, 0.93)], 0.06, np.full(3, 30.0), BICYCLE)


def _motorcycle_side(drawing: Drawing, rng: np.random.Generator) -> None:
    paint = rng.uniform(20, 220, 3)
    for x in (-0.68, 0.68):
        drawing.ellipse(x, 0.31, 0.31, 0.31, np.full(3, 26.0), MOTORCYCLE)
        drawing.ellipse(x, 0.31, 0.14, 0.14, np.full(3, 120.0), MOTORCYCLE)
    drawing.polygon([(-0.5, 0.34), (0.36, 0.3), (0.42, 0.62), (-0.3, 0.62)], np.full(3, 64.0), MOTORCYCLE)
    drawing.polygon([(-0.3, 0.6), (0.3, 0.58), (0.42, 0.86), (0.1, 0.94), (-0.16, 0.78)], paint, MOTORCYCLE)
    drawing.polygon([(-0.9, 0.66), (-0.82, 0.84), (-0.1, 0.8), (-0.2, 0.66)], np.full(3, 34.0), MOTORCYCLE)
    drawing.limb([(0.68, 0.31), (0.44, 1.02), (0.3, 1.06)], 0.08, np.full(3, 90.0), MOTORCYCLE)
    drawing.limb([(0.4, 0.5), (0.9, 0.6)], 0.06, paint * 0.8, MOTORCYCLE)
    drawing.ellipse(0.52, 0.9, 0.09, 0.1, np.array([240.0, 238.0, 220.0]), MOTORCYCLE)
    drawing.limb([(-0.8, 0.28), (-0.1, 0.3)], 0.09, np.full(3, 150.0), MOTORCYCLE)


def parked_bicycle(rng: np.random.Generator) -> Figure:
    """A bicycle without a rider, seen from its side."""
    drawing = Drawing(1.9, 1.1)
    _bicycle_side(drawing, rng)
    return drawing.finished(rng)


def parked_motorcycle(rng: np.random.Generator) -> Figure:
    """A motorcycle without a rider, seen from its side."""
    drawing = Drawing(2.1, 1.15)
    _motorcycle_side(drawing, rng)
    return drawing.finished(rng)


def _seated(
    drawing: Drawing,
    outfit: Outfit,
    hip: tuple[float, float],
    hands: tuple[float, float],
    feet: tuple[float, float],
) -> None:
    hx, hy = hip
    shoulder = (hx + 0.24, hy + 0.5)
    knee = ((hx + feet[0]) / 2 + 0.2, (hy + feet[1]) / 2 + 0.08)
    drawing.limb(
        [hip, (knee[0] - 0.05, knee[1] - 0.1), (feet[0] - 0.1, feet[1] + 0.1)], 0.13, outfit.legs * 0.7, RIDER
    )
    drawing.polygon(
        [
            (hx - 0.12, hy - 0.02),
            (hx + 0.12, hy - 0.04),
            (shoulder[0] + 0.1, shoulder[1]),
            (shoulder[0] - 0.1, shoulder[1] + 0.05),
        ],
        outfit.top,
        RIDER,
    )
    drawing.limb([hip, knee], 0.16, outfit.legs, RIDER)
    drawing.limb([knee, feet], 0.11, outfit.legs, RIDER)
    drawing.limb([feet, (feet[0] + 0.12, feet[1])], 0.07, outfit.shoes, RIDER)
    elbow = ((shoulder[0] + hands[0]) / 2, (shoulder[1] + hands[1]) / 2 - 0.06)
    drawing.limb([shoulder, elbow, hands], 0.09, outfit.top * 1.1, RIDER)
    drawing.head(shoulder[0] + 0.06, shoulder[1] + 0.24, outfit, RIDER, "side")


def _upright_rider(
    drawing: Drawing, rng: np.random.Generator, outfit: Outfit, hip: float, seen_from: str
) -> None:
    for sign in (-1, 1):
        drawing.limb(
            [(sign * 0.1, hip), (sign * 0.2, hip - 0.25), (sign * 0.15, 0.35 + 0.12 * sign)],
            0.13,
            outfit.legs * (0.9 + 0.1 * sign),
            RIDER,
        )
        drawing.limb(
            [(sign * 0.15, 0.3 + 0.12 * sign), (sign * 0.15, 0.26 + 0.12 * sign)], 0.1, outfit.shoes, RIDER
        )
        drawing.limb(
            [(sign * 0.2, hip + 0.48), (sign * 0.34, hip + 0.22), (sign * 0.27, hip + 0.1)],
            0.09,
            outfit.top * 0.85,
            RIDER,
        )
    drawing.polygon(
        [(-0.22, hip + 0.52), (0.22, hip + 0.52), (0.16, hip - 0.05), (-0.16, hip - 0.05)], outfit.top, RIDER
    )
    if rng.random() < 0.3 and seen_from == "behind":
        drawing.polygon(
            [(-0.15, hip + 0.46), (0.15, hip + 0.46), (0.16, hip + 0.08), (-0.16, hip + 0.08)],
            rng.uniform(20, 200, 3),
            RIDER,
        )
    drawing.head(0.0, hip + 0.72, outfit, RIDER, seen_from)


def cyclist(rng: np.random.Generator, style: Style) -> Figure:
    """Somebody riding a bicycle, from the side, the front or behind."""
    outfit = Outfit.random(rng, style, helmet_share=0.5)
    if rng.random() < 0.4:
        drawing = Drawing(1.9, 1.85)
        _bicycle_side(drawing, rng)
        _seated(drawing, outfit, (-0.22, 0.98), (0.42, 1.02), (0.02, 0.22))
        return drawing.finished(rng)
    drawing = Drawing(1.0, 1.85)
    seen_from = str(rng.choice(["front", "behind"]))
    drawing.ellipse(0, 0.34, 0.035, 0.34, np.full(3, 30.0), BICYCLE)
    frame = rng.uniform(20, 220, 3)
    drawing.limb([(0, 0.5), (0, 0.95)], 0.06, frame, BICYCLE)
    drawing.limb([(-0.28, 1.02), (0.28, 1.02)], 0.04, np.full(3, 50.0), BICYCLE)
    _upright_rider(drawing, rng, outfit, 0.96, seen_from)
    if seen_from == "front":
        drawing.limb([(-0.28, 1.02), (0.28, 1.02)], 0.035, np.full(3, 50.0), BICYCLE)
        drawing.limb([(0, 0.3), (0, 0.98)], 0.05, frame, BICYCLE)
    else:
        drawing.ellipse(0, 0.34, 0.035, 0.34, np.full(3, 30.0), BICYCLE)
        drawing.ellipse(0, 0.72, 0.04, 0.03, np.array([220.0, 30.0, 30.0]), BICYCLE)
    return drawing.finished(rng)


def motorcyclist(rng: np.random.Generator, style: Style) -> Figure:
    """Somebody riding a motorcycle, from the side, the front or behind."""
    outfit = Outfit.random(rng, style, helmet_share=1.0)
    if rng.random() < 0.4:
        drawing = Drawing(2.1, 1.75)
        _motorcycle_side(drawing, rng)
        _seated(drawing, outfit, (-0.34, 0.86), (0.34, 1.06), (-0.02, 0.34))
        return drawing.finished(rng)
    drawing = Drawing(1.0, 1.75)
    seen_from = str(rng.choice(["front", "behind"]))
    paint = rng.uniform(20, 220, 3)
    _upright_rider(drawing, rng, outfit, 0.84, seen_from)
    drawing.ellipse(0, 0.32, 0.09, 0.32, np.full(3, 26.0), MOTORCYCLE)
    drawing.polygon([(-0.18, 0.5), (0.18, 0.5), (0.22, 0.86), (-0.22, 0.86)], paint, MOTORCYCLE)
    drawing.limb([(-0.36, 0.98), (0.36, 0.98)], 0.05, np.full(3, 50.0), MOTORCYCLE)
    lamp = np.array([245.0, 242.0, 225.0]) if seen_from == "front" else np.array([215.0, 30.0, 28.0])
    drawing.ellipse(0, 0.74, 0.09, 0.07, lamp, MOTORCYCLE)
    return drawing.finished(rng)
