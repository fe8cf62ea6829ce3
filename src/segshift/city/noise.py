"""Seamless random fields, from which surfaces, clouds and leaves get their grain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from segshift.city.camera import Array


def spectral_noise(rng: np.random.Generator, height: int, width: int, exponent: float) -> Array:
    """Noise (height, width) of mean 0 and deviation 1 whose amplitude falls with frequency to the given
    power.

    It is periodic, so it can be tiled. exponent 0 is white, 1 is grainy, 2 makes clouds.
    """
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    rows = np.fft.fftfreq(height)[:, None] * height
    columns = np.fft.rfftfreq(width)[None] * width
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(spectrum / frequency**exponent, s=(height, width))
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-12))


def to_bytes(values: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Round and clip to 0..255."""
    return np.clip(np.asarray(values) + 0.5, 0, 255).astype(np.uint8)
