"""Trees and bushes as they stand in a scene."""

from __future__ import annotations

import numpy as np

from segshift.city.canvas import Canvas
from segshift.city.pools import Pool
from segshift.city.street import Drawable
from segshift.city.styles import Style


def plant_tree(
    rng: np.random.Generator, pool: Pool, style: Style, x_m: float, z_m: float, height_m: float
) -> Drawable:
    """A tree of a given height, leafy or leafless as the style has it."""
    leafless = rng.random() < style.leafless_share
    options = pool.leafless if leafless else pool.leafy
    texture = options[int(rng.integers(len(options)))]
    width = height_m * rng.uniform(0.75, 1.1)
    tone, mirrored = rng.uniform(0.85, 1.15), bool(rng.random() < 0.5)

    def draw(canvas: Canvas) -> None:
        gain = canvas.light.upright_gain() * tone
        canvas.sprite(texture, (x_m, 0.0, z_m), (width, height_m), gain, mirrored)

    spread = width * 0.32
    shadow = "none" if leafless else "crown"
    # The trunk decides what is in front; the crown hangs over everything else.
    return Drawable(x_m - spread, x_m + spread, z_m - 0.2, z_m + 0.2, height_m, shadow, draw)


def plant_bush(rng: np.random.Generator, pool: Pool, x_m: float, z_m: float) -> Drawable:
    """A bush."""
    texture = pool.bushes[int(rng.integers(len(pool.bushes)))]
    height = rng.uniform(0.6, 1.8)
    width, tone = height * rng.uniform(1.2, 2.2), rng.uniform(0.85, 1.1)

    def draw(canvas: Canvas) -> None:
        canvas.sprite(texture, (x_m, 0.0, z_m), (width, height), canvas.light.upright_gain() * tone)

    return Drawable(x_m - width / 2, x_m + width / 2, z_m - 0.3, z_m + 0.3, height, "box", draw)
