"""Pictures of people, and the sketch board on which they and riders are drawn."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segshift.city.camera import Array
from segshift.city.canvas import Texture
from segshift.city.classes import PERSON
from segshift.city.noise import spectral_noise, to_bytes
from segshift.city.styles import Style

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
    """RGB colors (3,) of a person's skin, hair, top, trousers and shoes, and whether a helmet is worn."""

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
        return Outfit(
            skin, _HAIRS[int(rng.integers(4))] * rng.uniform(0.6, 1.2), top, legs, np.full(3, 34.0), helmet
        )


class Drawing:
    """Layers of color, class and coverage; x in metres from the middle, y up from the lower edge."""

    def __init__(self, width_m: float, height_m: float) -> None:
        self.size_m = (width_m, height_m)
        self.rows, self.columns = int(height_m * PIXELS_PER_METRE), int(width_m * PIXELS_PER_METRE)
        self.layers = np.zeros((self.rows, self.columns, 4), np.uint8)
        self.alpha = np.zeros((self.rows, self.columns), np.uint8)

    def _at(self, x: float, y: float) -> tuple[int, int]:
        return round((x * PIXELS_PER_METRE + self.columns / 2) * 8), round(
            (self.rows - y * PIXELS_PER_METRE) * 8
        )

    @staticmethod
    def _ink(color: Array, label: int) -> tuple[float, float, float, float]:
        red, green, blue = np.clip(color, 4, 250).tolist()
        return red, green, blue, label

    def limb(self, points: Sequence[tuple[float, float]], width_m: float, color: Array, label: int) -> None:
        width = max(1, round(width_m * PIXELS_PER_METRE))
        for (xa, ya), (xb, yb) in itertools.pairwise(points):
            a, b = self._at(xa, ya), self._at(xb, yb)
            cv2.line(self.layers, a, b, self._ink(color, label), width, cv2.LINE_8, 3)
            cv2.line(self.alpha, a, b, 255, width, cv2.LINE_8, 3)

    def polygon(
        self, points: Sequence[tuple[float, float]], color: Array, label: int, alpha: int = 255
    ) -> None:
        outline = np.array([self._at(x, y) for x, y in points], dtype=np.int32)
        cv2.fillPoly(self.layers, [outline], self._ink(color, label), cv2.LINE_8, 3)
        cv2.fillPoly(self.alpha, [outline], alpha, cv2.LINE_8, 3)

    def ellipse(
        self,
        x: float,
        y: float,
        half_width: float,
        half_height: float,
        color: Array,
        label: int,
        alpha: int = 255,
    ) -> None:
        ring = np.linspace(0, 2 * math.pi, 20, endpoint=False)
        self.polygon(
            [(x + half_width * math.cos(t), y + half_height * math.sin(t)) for t in ring], color, label, alpha
        )

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
        self.ellipse(
            x - (0.02 if seen_from == "side" else 0), y + 0.05, 0.092 + grown, 0.075 + grown, cap, label
        )


def pedestrian(rng: np.random.Generator, style: Style) -> Figure:
    """Somebody who walks or stands, seen from the front, from behind or from the side."""
    drawing, outfit = Drawing(1.1, 1.85), Outfit.random(rng, style)
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
        drawing.limb(
            [(foot - 0.03, 0.03), (foot + (0.14 if side else 0.03), 0.03)], 0.07, outfit.shoes, PERSON
        )
    shoulder = 0.12 if side else 0.2
    swing = rng.uniform(-0.15, 0.25)
    drawing.limb(
        [(-shoulder, 1.4), (-shoulder - swing * 0.5, 1.12), (-shoulder - swing * 0.4, 0.86)],
        0.09,
        outfit.top * 0.78,
        PERSON,
    )
    drawing.polygon(
        [(-shoulder, 1.45), (shoulder, 1.45), (shoulder * 0.85, 0.88), (-shoulder * 0.85, 0.88)],
        outfit.top,
        PERSON,
    )
    if skirt or coat:
        hem = rng.uniform(0.5, 0.7)
        cloth = outfit.top * 0.92 if coat else outfit.legs
        drawing.polygon(
            [(-shoulder * 0.9, 1.0), (shoulder * 0.9, 1.0), (0.24, hem), (-0.24, hem)], cloth, PERSON
        )
    if not side and rng.random() < 0.5 and seen_from == "front":
        drawing.polygon([(-0.04, 1.45), (0.04, 1.45), (0.03, 1.0), (-0.03, 1.0)], outfit.top * 1.35, PERSON)
    drawing.head(0.0, 1.64, outfit, PERSON, seen_from)
    arm = [(shoulder, 1.4), (shoulder + swing * 0.4, 1.12), (shoulder + swing * 0.7, 0.88)]
    drawing.limb(arm, 0.09, outfit.top * 1.06, PERSON)
    drawing.ellipse(arm[-1][0], arm[-1][1] - 0.05, 0.045, 0.06, outfit.skin, PERSON)
    bag = rng.random()
    if bag < 0.2:
        x = arm[-1][0]
        drawing.polygon(
            [(x - 0.14, 0.84), (x + 0.14, 0.84), (x + 0.13, 0.52), (x - 0.13, 0.52)],
            rng.uniform(20, 210, 3),
            PERSON,
        )
    elif bag < 0.4 and seen_from == "behind":
        drawing.polygon(
            [(-0.15, 1.4), (0.15, 1.4), (0.17, 1.0), (-0.17, 1.0)], rng.uniform(20, 170, 3), PERSON
        )
    return drawing.finished(rng)
