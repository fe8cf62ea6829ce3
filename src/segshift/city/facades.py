"""Textures of house fronts: walls, windows, shops, doors, balconies."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segshift.city.camera import Array
from segshift.city.canvas import Texture
from segshift.city.classes import BUILDING
from segshift.city.noise import spectral_noise, to_bytes
from segshift.city.styles import Style

PIXELS_PER_METRE = 20
_LAMP = np.array([255.0, 205.0, 130.0])


@dataclass(frozen=True)
class Facade:
    """A front of width_m x height_m; wall: RGB color (3,); pitched: it is a house with a gabled roof."""

    texture: Texture
    width_m: float
    height_m: float
    wall: Array
    pitched: bool


class _Painter:
    """Paints one facade; y is measured upwards from the ground in metres, x from its left edge."""

    def __init__(self, rng: np.random.Generator, style: Style, width_m: float, height_m: float) -> None:
        self.rng, self.style, self.width_m, self.height_m = rng, style, width_m, height_m
        self.rows, self.columns = int(height_m * PIXELS_PER_METRE), int(width_m * PIXELS_PER_METRE)
        self.color = np.zeros((self.rows, self.columns, 3), np.float32)
        self.glow = np.zeros((self.rows, self.columns, 3), np.float32)

    def rectangle(
        self, x0: float, y0: float, x1: float, y1: float, color: Array, layer: str = "color"
    ) -> None:
        left, right = round(x0 * PIXELS_PER_METRE), round(x1 * PIXELS_PER_METRE)
        top, bottom = self.rows - round(y1 * PIXELS_PER_METRE), self.rows - round(y0 * PIXELS_PER_METRE)
        target = self.color if layer == "color" else self.glow
        target[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = color

    def wall(self, base: Array, brick: bool) -> None:
        rng = self.rng
        self.color[:] = base
        grain = spectral_noise(rng, self.rows, self.columns, 1.2)
        self.color *= (1 + 0.05 * grain)[..., None]
        if brick:
            courses = np.arange(self.rows) // 3
            bricks = (np.arange(self.columns)[None] + 4 * (courses % 2)[:, None]) // 8
            tone = rng.normal(0, 0.09, (courses[-1] + 1, int(bricks.max()) + 1))[courses[:, None], bricks]
            self.color *= (1 + tone)[..., None]
            self.color[np.arange(self.rows) % 3 == 0] *= 0.9
        # Rain and exhaust darken walls near the ground and under the eaves.
        height = np.linspace(1, 0, self.rows)[:, None, None]
        self.color *= 1 - 0.16 * np.exp(-height * self.height_m / 1.0) - 0.08 * height**4

    def glass(self, x0: float, y0: float, x1: float, y1: float, tint: Array) -> None:
        """A pane: the sky at its top, dark below, with curtains or light inside now and then."""
        rng = self.rng
        tone = rng.uniform(0.6, 1.25)
        self.rectangle(x0, y0, x1, y1, tint * tone)
        if rng.random() < 0.55:
            self.rectangle(x0, y0 + (y1 - y0) * rng.uniform(0.3, 0.7), x1, y1, tint * tone * 1.35 + 12)
        if rng.random() < 0.3:
            curtain = np.array([214.0, 208.0, 196.0]) * rng.uniform(0.5, 0.95)
            share = rng.uniform(0.2, 0.4)
            self.rectangle(x0, y0, x0 + (x1 - x0) * share, y1, curtain)
            self.rectangle(x1 - (x1 - x0) * share, y0, x1, y1, curtain)
        if rng.random() < self.style.window_light_share:
            self.rectangle(x0, y0, x1, y1, _LAMP * rng.uniform(0.5, 0.8) * rng.uniform(0.9, 1.1, 3), "glow")

    def window(
        self, x: float, y: float, width: float, height: float, frame: Array, tint: Array, bars: int
    ) -> None:
        base = self.color[:1, :1].mean((0, 1))
        self.rectangle(x - 0.16, y - 0.12, x + width + 0.16, y, np.minimum(base * 1.25 + 10, 245))
        self.rectangle(x - 0.08, y, x + width + 0.08, y + height + 0.08, frame)
        self.glass(x, y + 0.06, x + width, y + height, tint)
        for k in range(1, bars + 1):
            at = x + width * k / (bars + 1)
            self.rectangle(at - 0.03, y, at + 0.03, y + height, frame)
        if bars:
            self.rectangle(x, y + height * 0.55, x + width, y + height * 0.55 + 0.06, frame)
        # The reveal's shade under the lintel gives the window depth.
        self.rectangle(x, y + height - 0.08, x + width, y + height, tint * 0.5)

    def shop(self, x0: float, x1: float, floor: float, tint: Array) -> None:
        rng = self.rng
        body = rng.uniform(25, 225, 3)
        self.rectangle(x0, 0, x1, floor, body * 0.65)
        self.rectangle(x0 + 0.1, floor * 0.76, x1 - 0.1, floor * 0.96, body)
        ink = np.full(3, 240.0) if body.mean() < 130 else np.full(3, 26.0)
        at = x0 + 0.5
        while at < x1 - 0.8 and rng.random() < 0.93:
            stroke = rng.uniform(0.12, 0.3)
            self.rectangle(at, floor * 0.81, at + stroke, floor * rng.uniform(0.87, 0.92), ink)
            at += stroke + 0.1
        panes = max(1, int((x1 - x0) / 1.7))
        lit = rng.random() < self.style.window_light_share * 2.2
        for k in range(panes):
            a, b = x0 + (k + 0.07) * (x1 - x0) / panes, x0 + (k + 0.93) * (x1 - x0) / panes
            door = k == panes // 2
            self.glass(a, 0.05 if door else 0.5, b, floor * 0.72, tint * 0.9)
            for _ in range(int(rng.integers(0, 4))):
                u, v = rng.uniform(a, b - 0.2), rng.uniform(0.5, floor * 0.45)
                self.rectangle(u, 0.55, min(u + rng.uniform(0.15, 0.5), b - 0.05), v, rng.uniform(30, 210, 3))
            if lit:
                self.rectangle(
                    a, 0.1 if door else 0.5, b, floor * 0.72, _LAMP * rng.uniform(0.45, 0.75), "glow"
                )
        if lit:
            self.rectangle(x0 + 0.1, floor * 0.76, x1 - 0.1, floor * 0.96, body * 0.45, "glow")
        if rng.random() < 0.3:
            stripe = rng.uniform(60, 235, 3)
            for k in range(int((x1 - x0) / 0.4)):
                color = stripe if k % 2 else np.full(3, 228.0)
                self.rectangle(x0 + k * 0.4, floor * 0.68, x0 + (k + 1) * 0.4, floor * 0.78, color)

    def finished(self) -> Texture:
        lit = bool(self.glow.max() > 0)
        return Texture(to_bytes(self.color), BUILDING, None, to_bytes(self.glow) if lit else None)


def make_facade(rng: np.random.Generator, style: Style) -> Facade:
    """Draw a random facade in a style's palette: terraced house, block of flats, offices or warehouse.

    Long, as a list of parts is.
    """
    low, high = style.building_height_m
    height = low + (high - low) * rng.random() ** 1.7
    kind = rng.choice(["house", "flats", "offices", "warehouse"], p=[0.45, 0.3, 0.17, 0.08])
    if kind == "house":
        height = min(height, rng.uniform(5.5, 13.0))
    if kind == "warehouse":
        height = min(height, rng.uniform(5.0, 9.0))
    width = rng.uniform(6.0, 11.0) if kind == "house" else rng.uniform(11.0, 20.0)
    base = np.array(style.facades[int(rng.integers(len(style.facades)))]) * rng.uniform(0.82, 1.12)
    base = np.clip(base + rng.normal(0, 6, 3), 25, 242)
    painter = _Painter(rng, style, width, height)
    reddish = base[0] > base[2] * 1.35
    painter.wall(base, brick=reddish and rng.random() < 0.75)
    floors = max(1, round(height / rng.uniform(2.9, 3.5)))
    floor = height / floors
    tint = np.array([[46.0, 54.0, 64.0], [70.0, 84.0, 98.0], [34.0, 38.0, 42.0], [96.0, 116.0, 132.0]])[
        int(rng.integers(4))
    ]
    frame = np.full(3, rng.choice([232.0, 238.0, 62.0, 120.0]))
    shops = kind != "warehouse" and rng.random() < 0.5
    bays = max(2, round(width / rng.uniform(1.9, 3.2)))
    bay = width / bays
    share, tall = rng.uniform(0.4, 0.62), rng.uniform(0.42, 0.58)
    bars = int(rng.integers(0, 3))
    balconies = kind == "flats" and rng.random() < 0.5
    for level in range(floors):
        y = level * floor
        if level == 0 and shops:
            x = 0.0
            while x < width - 1.0:
                end = width if width - x < 8 else x + rng.uniform(4.0, 7.0)
                painter.shop(x, end, floor, tint)
                x = end
            continue
        if kind == "offices" and level > 0:
            painter.rectangle(0.2, y + floor * 0.3, width - 0.2, y + floor * 0.86, tint)
            for k in range(bays * 2):
                a = 0.2 + (width - 0.4) * k / (bays * 2)
                painter.glass(
                    a + 0.06, y + floor * 0.3, a + (width - 0.4) / (bays * 2), y + floor * 0.86, tint
                )
            continue
        if kind == "warehouse":
            if level == 0:
                gate = base * rng.uniform(0.4, 0.75)
                painter.rectangle(width * 0.25, 0, width * 0.6, min(floor, 4.0) * 0.85, gate)
                for k in range(8):
                    painter.rectangle(width * 0.25, 0.4 * k, width * 0.6, 0.4 * k + 0.05, gate * 0.8)
            else:
                painter.rectangle(0.5, y + floor * 0.4, width - 0.5, y + floor * 0.7, tint * 0.9)
            continue
        for k in range(bays):
            x = (k + 0.5) * bay - bay * share / 2
            if level == 0 and k == bays // 2:
                painter.rectangle(x - 0.1, 0, x + 1.15, 2.25, frame)
                painter.rectangle(x, 0, x + 1.05, 2.1, rng.uniform(25, 150, 3))
                continue
            painter.window(x, y + floor * 0.28, bay * share, floor * tall, frame, tint, bars)
            if balconies and level > 0 and k % 2:
                painter.rectangle(x - 0.3, y + 0.05, x + bay * share + 0.3, y + floor * 0.33, base * 0.72)
                painter.rectangle(x - 0.3, y + floor * 0.31, x + bay * share + 0.3, y + floor * 0.35, frame)
        if rng.random() < 0.3:
            painter.rectangle(0, y + floor - 0.12, width, y + floor + 0.06, np.minimum(base * 1.15 + 8, 245))
    painter.rectangle(0, height - 0.3, width, height, np.minimum(base * rng.uniform(0.75, 1.2), 245))
    if rng.random() < 0.5:
        x = rng.uniform(0.1, width - 0.3)
        painter.rectangle(x, 0, x + 0.1, height, base * 0.55)
    pitched = kind == "house" and rng.random() < 0.8
    return Facade(painter.finished(), width, height, base, pitched)


def make_barrier(rng: np.random.Generator, kind: str, label: int) -> Texture:
    """Texture of a run of 6 m of wall or fence.

    kind: brick, concrete, stone, railing, mesh, planks or guardrail. label: its train id.
    """
    rows, columns = 40, 240
    color = np.zeros((rows, columns, 3), np.float32)
    alpha: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None = np.zeros((rows, columns), np.uint8)
    assert alpha is not None
    grain = spectral_noise(rng, rows, columns, 0.9)
    if kind in ("brick", "concrete", "stone"):
        tones = {
            "brick": (142.0, 86.0, 68.0),
            "concrete": (150.0, 148.0, 142.0),
            "stone": (138.0, 128.0, 112.0),
        }
        color[:] = np.array(tones[kind]) * rng.uniform(0.75, 1.1)
        courses, length = {"brick": (3, 9), "concrete": (40, 60), "stone": (8, 15)}[kind]
        row = np.arange(rows) // courses
        column = (np.arange(columns)[None] + (length // 2) * (row % 2)[:, None]) // length
        color *= (1 + rng.normal(0, 0.08, (row.max() + 1, column.max() + 1))[row[:, None], column])[..., None]
        color[:3] *= 1.2
        alpha = None
    elif kind == "planks":
        color[:] = np.array([140.0, 104.0, 72.0]) * rng.uniform(0.6, 1.1)
        color *= np.repeat(rng.normal(1, 0.08, columns // 8), 8)[None, :, None]
        color[:, ::8] *= 0.6
        alpha = None
    elif kind == "guardrail":
        color[:] = np.array([172.0, 174.0, 176.0]) * rng.uniform(0.7, 1.1)
        cv2.rectangle(alpha, (0, 2), (columns, 18), 255, -1)
        color[8:11] *= 0.65
        for x in range(6, columns, 60):
            cv2.rectangle(alpha, (x, 2), (x + 4, rows), 255, -1)
    else:
        tones_of_metal = [
            (42.0, 44.0, 46.0),
            (58.0, 84.0, 66.0),
            (160.0, 162.0, 164.0),
            (206.0, 204.0, 196.0),
        ]
        color[:] = np.array(tones_of_metal[int(rng.integers(4))]) * rng.uniform(0.8, 1.1)
        step, bar = (7, 3) if kind == "railing" else (4, 1)
        # Bars cover what a label can follow; from afar they merge into a veil, as they do for an annotator.
        alpha[:] = 40 if kind == "railing" else 130
        for x in range(0, columns, step):
            alpha[:, x : x + bar] = 255
        for y in (1, 2, 3, rows - 7, rows - 6, rows - 5):
            alpha[y] = 255
        for x in range(0, columns, 80):
            alpha[:, x : x + 5] = 255
    color *= (1 + 0.06 * grain)[..., None]
    return Texture(to_bytes(color), label, alpha)
