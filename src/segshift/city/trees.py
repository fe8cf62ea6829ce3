"""Pictures of trees, bushes and hedges."""

from __future__ import annotations

import math

import cv2
import numpy as np

from segshift.city.canvas import Texture
from segshift.city.classes import VEGETATION
from segshift.city.noise import spectral_noise, to_bytes
from segshift.city.styles import Style

SIZE_PX = 192


def _branches(rng: np.random.Generator, alpha: np.ndarray, depth: int, spread: float) -> None:
    """Grow a trunk and its branches into alpha (in place); coordinates are in px."""

    def grow(x: float, y: float, angle: float, length: float, width: float, left: int) -> None:
        x2, y2 = x + length * math.sin(angle), y - length * math.cos(angle)
        ends = [(round(a * 8), round(b * 8)) for a, b in ((x, y), (x2, y2))]
        cv2.line(alpha, ends[0], ends[1], 255, max(1, round(width)), cv2.LINE_AA, 3)
        if left == 0:
            return
        for _ in range(int(rng.integers(2, 4)) + (left > 4)):
            grow(
                x2,
                y2,
                angle * 0.9 + rng.normal(0, spread),
                length * rng.uniform(0.62, 0.86),
                width * 0.66,
                left - 1,
            )

    grow(
        SIZE_PX / 2,
        SIZE_PX - 1,
        rng.normal(0, 0.04),
        SIZE_PX * rng.uniform(0.2, 0.27),
        rng.uniform(6, 10),
        depth,
    )


def leafless_tree(rng: np.random.Generator) -> Texture:
    """A winter tree: branches, their twigs, and a thin haze of twigs too fine to draw."""
    alpha = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    _branches(rng, alpha, 6, rng.uniform(0.35, 0.55))
    haze = cv2.GaussianBlur(alpha, (0, 0), 6).astype(np.float64)
    twigs = haze * 1.5 + 26 * spectral_noise(rng, SIZE_PX, SIZE_PX, 0.35) > 95
    twigs[int(0.6 * SIZE_PX) :] = False
    alpha[twigs & (alpha < 120)] = 120
    color = np.array([70.0, 60.0, 52.0]) * rng.uniform(0.6, 1.25)
    shaded = color * (1 + 0.15 * spectral_noise(rng, SIZE_PX, SIZE_PX, 0.6))[..., None]
    return Texture(to_bytes(shaded), VEGETATION, alpha)


def leafy_tree(rng: np.random.Generator, style: Style) -> Texture:
    """A tree in leaf: a trunk under a crown built of many clumps, lit from above."""
    size = SIZE_PX
    color = np.zeros((size, size, 3), np.uint8)
    alpha = np.zeros((size, size), np.uint8)
    trunk = np.zeros((size, size), np.uint8)
    _branches(rng, trunk, 3, 0.35)
    bark = np.array([86.0, 72.0, 58.0]) * rng.uniform(0.6, 1.1)
    color[trunk > 100] = to_bytes(bark)
    alpha[trunk > 100] = 255
    leaf = np.array(style.foliage[int(rng.integers(len(style.foliage)))]) * rng.uniform(0.8, 1.15)
    slim = rng.random() < 0.2
    half_width, half_height = (0.16, 0.36) if slim else (rng.uniform(0.3, 0.4), rng.uniform(0.26, 0.34))
    middle = 0.46 if slim else 0.38
    lumps = [
        (rng.uniform(0, 2 * math.pi), math.sqrt(rng.random()) * 0.72, rng.uniform(0.1, 0.17))
        for _ in range(int(rng.integers(9, 17)))
    ]
    clumps: list[tuple[float, float, float, float]] = []
    for angle, far, radius in lumps:
        cx, cy = 0.5 + half_width * far * math.cos(angle), middle + half_height * far * math.sin(angle)
        for _ in range(38):
            a, q = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random())
            u, v = cx + radius * q * math.cos(a), cy + radius * q * math.sin(a)
            light = 0.62 - 0.34 * q * math.sin(a) - 0.35 * (v - middle) + 0.1 * rng.standard_normal()
            clumps.append((u, v, light, rng.uniform(0.012, 0.026)))
    order = rng.permutation(len(clumps))
    for index in sorted(order.tolist(), key=lambda i: clumps[i][2] + 0.25 * rng.random()):
        u, v, light, radius = clumps[index]
        center = (round(u * size * 8), round(v * size * 8))
        red, green, blue = np.clip(leaf * (0.45 + 0.95 * light), 5, 250).tolist()
        cv2.circle(color, center, round(radius * size * 8), (red, green, blue), -1, cv2.LINE_8, 3)
        cv2.circle(alpha, center, round(radius * size * 8), 255, -1, cv2.LINE_8, 3)
    grain = spectral_noise(rng, size, size, 0.3)
    shaded = color * (1 + 0.13 * grain)[..., None]
    gaps = spectral_noise(rng, size, size, 0.8)
    alpha[(gaps > 2.3) & (trunk < 100)] = 0
    return Texture(to_bytes(shaded), VEGETATION, alpha)


def bush(rng: np.random.Generator, style: Style) -> Texture:
    """A low round bush, twice as wide as high."""
    height, width = 64, 128
    leaf = np.array(style.foliage[int(rng.integers(len(style.foliage)))]) * rng.uniform(0.7, 1.1)
    grain = spectral_noise(rng, height, width, 0.6)
    rows, columns = np.mgrid[1:0:64j, -1:1:128j]
    edge = np.sqrt(np.clip(1 - np.abs(columns) ** 2.4, 0, 1)) * (
        0.85 + 0.12 * spectral_noise(rng, 64, 128, 1.3)[0]
    )
    alpha = np.where(rows < edge + 0.04 * grain, 255, 0).astype(np.uint8)
    shade = 0.55 + 0.55 * rows / np.maximum(edge, 0.2) + 0.2 * grain
    return Texture(to_bytes(leaf * shade[..., None]), VEGETATION, alpha)


def hedge(rng: np.random.Generator, style: Style) -> Texture:
    """A run of 6 m of clipped hedge with an uneven top."""
    height, width = 48, 240
    leaf = np.array(style.foliage[int(rng.integers(len(style.foliage)))]) * rng.uniform(0.65, 1.0)
    grain = spectral_noise(rng, height, width, 0.55)
    shade = 1 + 0.22 * grain + np.linspace(0.25, -0.35, height)[:, None]
    top = 5 + 2.5 * spectral_noise(rng, height, width, 1.2)[0]
    alpha = np.where(np.arange(height)[:, None] > top[None], 255, 0).astype(np.uint8)
    return Texture(to_bytes(leaf * shade[..., None]), VEGETATION, alpha)
