"""The sky: a gradient from the horizon to the zenith, clouds, and the glare around a low sun."""

from __future__ import annotations

import cv2
import numpy as np

from segshift.city.canvas import SUPERSAMPLING, Canvas
from segshift.city.classes import SKY
from segshift.city.noise import to_bytes
from segshift.city.pools import Pool
from segshift.city.styles import Sky


def paint_sky(canvas: Canvas, rng: np.random.Generator, pool: Pool, sky: Sky) -> None:
    """Fill the whole canvas with sky."""
    camera = canvas.camera
    # Nothing in a sky is sharp, so half the result's resolution will do.
    coarse = 2 * SUPERSAMPLING
    width, height = -(-camera.width_px // coarse), -(-camera.height_px // coarse)
    horizon, focal = camera.horizon_row() / coarse, camera.focal_px / coarse
    elevation = np.clip((horizon - np.arange(height)) / focal, 0.0, None)
    share = (1 - np.exp(-elevation * 2.6))[:, None, None]
    color = np.array(sky.horizon) * (1 - share) + np.array(sky.zenith) * share
    color = np.repeat(color, width, 1).astype(np.float32)
    density = pool.clouds[int(rng.integers(len(pool.clouds)))]
    cover = rng.uniform(*sky.cover)
    left = int(rng.integers(0, 256))
    density = density[:, left : left + 256]
    if rng.random() < 0.5:
        density = density[:, ::-1]
    # Clouds flatten towards the horizon, so the picture's rows are spread unevenly over the field's.
    rows = np.clip(40 + 200 * elevation / (0.25 + elevation), 0, 255).astype(np.float32)
    columns = np.linspace(0, 255, width, dtype=np.float32)
    clouds = cv2.remap(
        np.ascontiguousarray(density),
        np.repeat(columns[None], height, 0),
        np.repeat(rows[:, None], width, 1),
        cv2.INTER_LINEAR,
    ).astype(np.float32)
    threshold = 215 - 175 * cover
    weight = np.clip((clouds - threshold) / 70, 0, 1) * rng.uniform(0.6, 0.95)
    weight *= np.clip(elevation[:, None] * 6 + 0.3, 0, 1)
    shade = 0.86 + 0.16 * np.clip((clouds - threshold) / 120, 0, 1)
    color += weight[..., None] * (np.array(sky.cloud, np.float32) * shade[..., None] - color)
    seen = camera.rotation @ canvas.light.sun_direction
    if (seen[2] > 0.2 and canvas.light.casts_shadows) or (canvas.light.lamps_lit and seen[2] > 0.2):
        x = seen[0] / seen[2] * focal + width / 2
        y = seen[1] / seen[2] * focal + height / 2
        distance = ((np.arange(width)[None] - x) ** 2 + (np.arange(height)[:, None] - y) ** 2) / focal**2
        glare = np.exp(-distance * 14) * 0.7 + np.exp(-distance * 2.5) * 0.22
        color += glare[..., None] * (np.array([255.0, 236.0, 200.0], np.float32) - color)
    size = (camera.width_px, camera.height_px)
    canvas.pixels[..., :3] = cv2.resize(to_bytes(color), size, interpolation=cv2.INTER_LINEAR)
    canvas.pixels[..., 3] = SKY
