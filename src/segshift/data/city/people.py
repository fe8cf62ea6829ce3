"""Pictures of people, riders, bicycles and motorcycles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segshift.data.city.camera import Array
from segshift.data.city.canvas import Texture
from segshift.data.city.classes import BICYCLE, MOTORCYCLE, PERSON, RIDER
from segshift.data.city.noise import spectral_noise, to_bytes
from segshift.data.city.styles import Style

PIXELS_PER_METRE = 90
_SKINS = np.array([(224.0, 178.0, 150.0), (196.0, 144.0, 112.0), (132.0, 92.0, 70.0), (92.0, 64.0, 50.0)])
_HAIRS = np.array([(48.0, 36.0, 28.0), (96.0, 70.0, 44.0), (176.0, 144.0, 92.0), (130.0, 128.0, 126.0)])


@dataclass(frozen=True)
class Figure:
    """A sprite and the size of its frame, (width, height) in metres."""

    texture: Texture
    size_m: tuple[float, float]


@dataclass(frozen=True)
class Outfit:
    """RGB colours (3,) of a person's skin, hair, top, trousers and shoes, and whether a helmet is worn."""

    skin: Array
    hair: Array
    top: Array
    legs: Array
    shoes: Array
    helmet: Array | None = None

    @staticmethod
    def random(rng: np.random.Generator, style: Style, helmet_share: float = 0.0) -> Outfit:
        """Dress somebody; styles with a vivid palette have vivid clothes."""
        vivid = style.saturation[1] > 1.1 or rng.random() < 0.2
        tone = rng.uniform(20, 215)
        top = rng.uniform(20, 235, 3) if vivid else tone * rng.uniform(0.8, 1.2, 3)
        legs = rng.choice([30.0, 46.0, 70.0, 110.0]) * np.array([0.9, 0.95, rng.uniform(1.0, 1.5)])
        if vivid and rng.random() < 0.3:
            legs = rng.uniform(30, 200, 3)
        helmet = rng.uniform(30, 240, 3) if rng.random() < helmet_share else None
        skin = _SKINS[int(rng.integers(4))] * rng.uniform(0.9, 1.05)
        return Outfit(skin, _HAIRS[int(rng.integers(4))] * rng.uniform(0.6, 1.2), top, legs, np.full(3, 34.0), helmet)


class _Drawing:
    """A frame in metres, x from its middle and y up from its lower edge, with colour, coverage and class layers."""

    def __init__(self, width_m: float, height_m: float) -> None:
        self.size_m = (width_m, height_m)
        self.rows, self.columns = int(height_m * PIXELS_PER_METRE), int(width_m * PIXELS_PER_METRE)
        self.layers = np.zeros((self.rows, self.columns, 4), np.uint8)
        self.alpha = np.zeros((self.rows, self.columns), np.uint8)

    def _at(self, x: float, y: float) -> tuple[int, int]:
        return round((x * PIXELS_PER_METRE + self.columns / 2) * 8), round((self.rows - y * PIXELS_PER_METRE) * 8)

    @staticmethod
    def _ink(color: Array, label: int) -> tuple[float, float, float, float]:
        red, green, blue = np.clip(color, 4, 250).tolist()
        return red, green, blue, label

    def limb(self, points: Sequence[tuple[float, float]], width_m: float, color: Array, label: int) -> None:
        width = max(1, round(width_m * PIXELS_PER_METRE))
        for (xa, ya), (xb, yb) in zip(points[:-1], points[1:], strict=True):
            a, b = self._at(xa, ya), self._at(xb, yb)
            cv2.line(self.layers, a, b, self._ink(color, label), width, cv2.LINE_8, 3)
            cv2.line(self.alpha, a, b, 255, width, cv2.LINE_8, 3)

    def polygon(self, points: Sequence[tuple[float, float]], color: Array, label: int, alpha: int = 255) -> None:
        outline = np.array([self._at(x, y) for x, y in points], dtype=np.int32)
        cv2.fillPoly(self.layers, [outline], self._ink(color, label), cv2.LINE_8, 3)
        cv2.fillPoly(self.alpha, [outline], alpha, cv2.LINE_8, 3)

    def ellipse(
        self, x: float, y: float, half_width: float, half_height: float, color: Array, label: int, alpha: int = 255
    ) -> None:
        ring = np.linspace(0, 2 * math.pi, 20, endpoint=False)
        self.polygon([(x + half_width * math.cos(t), y + half_height * math.sin(t)) for t in ring], color, label, alpha)

    def wheel(self, x: float, radius: float, width_m: float, label: int, squeeze: float = 1.0) -> None:
        """A wheel; between its spokes one sees through by half, and annotators call that the bicycle too."""
        tyre, spoke = np.full(3, 30.0), np.full(3, 110.0)
        self.ellipse(x, radius, radius * squeeze, radius, tyre, label)
        inner = radius - width_m
        self.ellipse(x, radius, inner * squeeze, inner, spoke, label, alpha=104)
        for k in range(5):
            t = k * math.pi / 5
            u, v = inner * math.cos(t) * squeeze, inner * math.sin(t)
            self.limb([(x - u, radius - v), (x + u, radius + v)], 0.012, spoke * 1.2, label)

    def finished(self, rng: np.random.Generator) -> Figure:
        grain = spectral_noise(rng, self.rows, self.columns, 0.8)
        light = np.linspace(1.12, 0.82, self.columns)[None] * (1 + 0.06 * grain)
        color = to_bytes(self.layers[..., :3] * light[..., None])
        return Figure(Texture(color, self.layers[..., 3].copy(), self.alpha), self.size_m)

    def head(self, x: float, y: float, outfit: Outfit, label: int, seen_from: str) -> None:
        self.limb([(x, y - 0.16), (x, y - 0.05)], 0.09, outfit.skin * 0.85, label)
        self.ellipse(x, y, 0.085, 0.115, outfit.skin if seen_from != "behind" else outfit.hair, label)
        cap = outfit.helmet if outfit.helmet is not None else outfit.hair
        grown = 0.02 if outfit.helmet is not None else 0.0
        self.ellipse(x - (0.02 if seen_from == "side" else 0), y + 0.05, 0.092 + grown, 0.075 + grown, cap, label)


def pedestrian(rng: np.random.Generator, style: Style) -> Figure:
    """Somebody who walks or stands, seen from the front, from behind or from the side."""
    drawing, outfit = _Drawing(1.1, 1.85), Outfit.random(rng, style)
    seen_from = str(rng.choice(["front", "behind", "side"], p=[0.35, 0.35, 0.3]))
    side = seen_from == "side"
    stride = rng.uniform(0.08, 0.3) if side else rng.uniform(0.02, 0.08)
    hip, apart = 0.9, 0.03 if side else 0.09
    skirt, coat = rng.random() < 0.15, rng.random() < 0.3
    legs = outfit.skin if skirt else outfit.legs
    for sign, shade in ((-1, 0.8), (1, 1.0)):
        knee, foot = sign * (apart + stride * 0.5), sign * (apart + stride)
        bend = 0.04 if side else 0.0
        drawing.limb([(sign * apart * 0.7, hip), (knee + bend, 0.48)], 0.15, legs * shade, PERSON)
        drawing.limb([(knee + bend, 0.48), (foot, 0.06)], 0.11, legs * shade, PERSON)
        drawing.limb([(foot - 0.03, 0.03), (foot + (0.14 if side else 0.03), 0.03)], 0.07, outfit.shoes, PERSON)
    shoulder = 0.12 if side else 0.2
    swing = rng.uniform(-0.15, 0.25)
    drawing.limb([(-shoulder, 1.4), (-shoulder - swing * 0.5, 1.12), (-shoulder - swing * 0.4, 0.86)], 0.09,
                 outfit.top * 0.78, PERSON)  # fmt: skip
    drawing.polygon([(-shoulder, 1.45), (shoulder, 1.45), (shoulder * 0.85, 0.88), (-shoulder * 0.85, 0.88)],
                    outfit.top, PERSON)  # fmt: skip
    if skirt or coat:
        hem = rng.uniform(0.5, 0.7)
        cloth = outfit.top * 0.92 if coat else outfit.legs
        drawing.polygon([(-shoulder * 0.9, 1.0), (shoulder * 0.9, 1.0), (0.24, hem), (-0.24, hem)], cloth, PERSON)
    if not side and rng.random() < 0.5 and seen_from == "front":
        drawing.polygon([(-0.04, 1.45), (0.04, 1.45), (0.03, 1.0), (-0.03, 1.0)], outfit.top * 1.35, PERSON)
    drawing.head(0.0, 1.64, outfit, PERSON, seen_from)
    arm = [(shoulder, 1.4), (shoulder + swing * 0.4, 1.12), (shoulder + swing * 0.7, 0.88)]
    drawing.limb(arm, 0.09, outfit.top * 1.06, PERSON)
    drawing.ellipse(arm[-1][0], arm[-1][1] - 0.05, 0.045, 0.06, outfit.skin, PERSON)
    bag = rng.random()
    if bag < 0.2:
        x = arm[-1][0]
        drawing.polygon([(x - 0.14, 0.84), (x + 0.14, 0.84), (x + 0.13, 0.52), (x - 0.13, 0.52)],
                        rng.uniform(20, 210, 3), PERSON)  # fmt: skip
    elif bag < 0.4 and seen_from == "behind":
        drawing.polygon([(-0.15, 1.4), (0.15, 1.4), (0.17, 1.0), (-0.17, 1.0)], rng.uniform(20, 170, 3), PERSON)
    return drawing.finished(rng)


def _bicycle_side(drawing: _Drawing, rng: np.random.Generator) -> None:
    frame = rng.uniform(20, 220, 3)
    for x in (-0.52, 0.52):
        drawing.wheel(x, 0.34, 0.05, BICYCLE)
    seat, handle, crank = (-0.2, 0.78), (0.36, 0.84), (-0.06, 0.32)
    for a, b in (((-0.52, 0.34), seat), (seat, crank), (crank, handle), (seat, handle), ((-0.52, 0.34), crank)):
        drawing.limb([a, b], 0.045, frame, BICYCLE)
    drawing.limb([(0.52, 0.34), (0.34, 0.98), (0.46, 1.0)], 0.045, frame * 0.8, BICYCLE)
    drawing.limb([seat, (-0.24, 0.92)], 0.04, frame * 0.6, BICYCLE)
    drawing.limb([(-0.36, 0.94), (-0.12, 0.93)], 0.06, np.full(3, 30.0), BICYCLE)


def _motorcycle_side(drawing: _Drawing, rng: np.random.Generator) -> None:
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
    drawing = _Drawing(1.9, 1.1)
    _bicycle_side(drawing, rng)
    return drawing.finished(rng)


def parked_motorcycle(rng: np.random.Generator) -> Figure:
    """A motorcycle without a rider, seen from its side."""
    drawing = _Drawing(2.1, 1.15)
    _motorcycle_side(drawing, rng)
    return drawing.finished(rng)


def _seated(drawing: _Drawing, outfit: Outfit, hip: tuple[float, float], hands: tuple[float, float],
            feet: tuple[float, float]) -> None:  # fmt: skip
    hx, hy = hip
    shoulder = (hx + 0.24, hy + 0.5)
    knee = ((hx + feet[0]) / 2 + 0.2, (hy + feet[1]) / 2 + 0.08)
    drawing.limb([hip, (knee[0] - 0.05, knee[1] - 0.1), (feet[0] - 0.1, feet[1] + 0.1)], 0.13, outfit.legs * 0.7, RIDER)
    drawing.polygon([(hx - 0.12, hy - 0.02), (hx + 0.12, hy - 0.04), (shoulder[0] + 0.1, shoulder[1]),
                     (shoulder[0] - 0.1, shoulder[1] + 0.05)], outfit.top, RIDER)  # fmt: skip
    drawing.limb([hip, knee], 0.16, outfit.legs, RIDER)
    drawing.limb([knee, feet], 0.11, outfit.legs, RIDER)
    drawing.limb([feet, (feet[0] + 0.12, feet[1])], 0.07, outfit.shoes, RIDER)
    elbow = ((shoulder[0] + hands[0]) / 2, (shoulder[1] + hands[1]) / 2 - 0.06)
    drawing.limb([shoulder, elbow, hands], 0.09, outfit.top * 1.1, RIDER)
    drawing.head(shoulder[0] + 0.06, shoulder[1] + 0.24, outfit, RIDER, "side")


def _upright_rider(drawing: _Drawing, rng: np.random.Generator, outfit: Outfit, hip: float, seen_from: str) -> None:
    for sign in (-1, 1):
        drawing.limb([(sign * 0.1, hip), (sign * 0.2, hip - 0.25), (sign * 0.15, 0.35 + 0.12 * sign)], 0.13,
                     outfit.legs * (0.9 + 0.1 * sign), RIDER)  # fmt: skip
        drawing.limb([(sign * 0.15, 0.3 + 0.12 * sign), (sign * 0.15, 0.26 + 0.12 * sign)], 0.1, outfit.shoes, RIDER)
        drawing.limb([(sign * 0.2, hip + 0.48), (sign * 0.34, hip + 0.22), (sign * 0.27, hip + 0.1)], 0.09,
                     outfit.top * 0.85, RIDER)  # fmt: skip
    drawing.polygon([(-0.22, hip + 0.52), (0.22, hip + 0.52), (0.16, hip - 0.05), (-0.16, hip - 0.05)],
                    outfit.top, RIDER)  # fmt: skip
    if rng.random() < 0.3 and seen_from == "behind":
        drawing.polygon([(-0.15, hip + 0.46), (0.15, hip + 0.46), (0.16, hip + 0.08), (-0.16, hip + 0.08)],
                        rng.uniform(20, 200, 3), RIDER)  # fmt: skip
    drawing.head(0.0, hip + 0.72, outfit, RIDER, seen_from)


def cyclist(rng: np.random.Generator, style: Style) -> Figure:
    """Somebody riding a bicycle, from the side, the front or behind."""
    outfit = Outfit.random(rng, style, helmet_share=0.5)
    if rng.random() < 0.4:
        drawing = _Drawing(1.9, 1.85)
        _bicycle_side(drawing, rng)
        _seated(drawing, outfit, (-0.22, 0.98), (0.42, 1.02), (0.02, 0.22))
        return drawing.finished(rng)
    drawing = _Drawing(1.0, 1.85)
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
        drawing = _Drawing(2.1, 1.75)
        _motorcycle_side(drawing, rng)
        _seated(drawing, outfit, (-0.34, 0.86), (0.34, 1.06), (-0.02, 0.34))
        return drawing.finished(rng)
    drawing = _Drawing(1.0, 1.75)
    seen_from = str(rng.choice(["front", "behind"]))
    paint = rng.uniform(20, 220, 3)
    _upright_rider(drawing, rng, outfit, 0.84, seen_from)
    drawing.ellipse(0, 0.32, 0.09, 0.32, np.full(3, 26.0), MOTORCYCLE)
    drawing.polygon([(-0.18, 0.5), (0.18, 0.5), (0.22, 0.86), (-0.22, 0.86)], paint, MOTORCYCLE)
    drawing.limb([(-0.36, 0.98), (0.36, 0.98)], 0.05, np.full(3, 50.0), MOTORCYCLE)
    lamp = np.array([245.0, 242.0, 225.0]) if seen_from == "front" else np.array([215.0, 30.0, 28.0])
    drawing.ellipse(0, 0.74, 0.09, 0.07, lamp, MOTORCYCLE)
    return drawing.finished(rng)
