"""What the camera adds: halos of lamps, exposure, color, vignetting, blur, noise and compression."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from segshift.city.canvas import SUPERSAMPLING, Bytes, Canvas, Glow
from segshift.city.noise import to_bytes
from segshift.city.pools import Pool
from segshift.city.styles import Style

Floats = npt.NDArray[np.float32]


def _add_glows(image: Floats, glows: list[Glow]) -> None:
    height, width = image.shape[:2]
    for glow in glows:
        x, y, radius = (v / SUPERSAMPLING for v in (glow.x_px, glow.y_px, glow.radius_px))
        radius = max(radius, 0.8)
        x0, x1 = max(int(x - radius), 0), min(int(x + radius) + 1, width)
        y0, y1 = max(int(y - radius), 0), min(int(y + radius) + 1, height)
        if x0 >= x1 or y0 >= y1:
            continue
        square = ((np.arange(y0, y1)[:, None] - y) ** 2 + (np.arange(x0, x1)[None] - x) ** 2) / radius**2
        halo = np.clip(1 - square, 0, 1) ** 2 * 0.35 + np.exp(-square * 22)
        image[y0:y1, x0:x1] += (halo[..., None] * np.array(glow.color)).astype(np.float32)


def _grain(rng: np.random.Generator, pool: Pool, height: int, width: int) -> Floats:
    """Noise (height, width, 3) of deviation 1, mostly grey, cut from the pool's long strip."""
    strip = pool.noise
    grey, *tints = (
        np.take(strip, np.arange(start, start + height * width), mode="wrap").reshape(height, width)
        for start in rng.integers(0, len(strip), 4).tolist()
    )
    return np.stack([0.86 * grey + 0.5 * tint for tint in tints], -1).astype(np.float32)


def expose(canvas: Canvas, rng: np.random.Generator, pool: Pool, style: Style) -> tuple[Bytes, Bytes]:
    """The finished image (H, W, 3) and label (H, W) of a painted canvas."""
    picture, label = canvas.reduced()
    height, width = label.shape
    image = picture.astype(np.float32)
    _add_glows(image, canvas.visible_glows())
    saturation = rng.uniform(*style.saturation)
    balance = np.exp(rng.normal(0, style.white_balance, 3)) * rng.uniform(*style.exposure)
    # Saturation and white balance are one linear map of the three channels.
    grey = np.full((3, 3), (1 - saturation) / 3) + np.eye(3) * saturation
    image = np.asarray(cv2.transform(image, (grey * balance[:, None]).astype(np.float32)), np.float32)
    image = np.clip(image, 0, 255)
    gamma = rng.uniform(*style.gamma)
    if abs(gamma - 1) > 0.01:
        image = np.asarray(cv2.pow(image / 255, gamma), np.float32) * 255
    strength = rng.uniform(*style.vignetting)
    if strength > 0.01:
        rows, columns = np.linspace(-1, 1, height)[:, None] ** 2, np.linspace(-1, 1, width)[None] ** 2
        image = image * (1 - strength * 0.5 * (rows + columns))[..., None].astype(np.float32)
    sigma = rng.uniform(*style.blur_px) * max(width, height) / 480
    if sigma > 0.15:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    deviation = rng.uniform(*style.noise)
    if deviation > 0:
        image = image + np.float32(deviation) * _grain(rng, pool, height, width)
    result = to_bytes(image)
    quality = int(rng.integers(style.jpeg_quality[0], style.jpeg_quality[1] + 1))
    if quality < 100:
        encoded = cv2.imencode(".jpg", result[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        assert decoded is not None
        result = np.ascontiguousarray(decoded[..., ::-1], dtype=np.uint8)
    return result, label
