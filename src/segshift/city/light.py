"""Light of a scene: sun, sky light, and the haze that lies between the camera and what it sees."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_RAMP = np.arange(256.0)[:, None]


@dataclass(frozen=True)
class Light:
    """Illumination of one scene.

    sun_direction: (3,) unit vector towards the sun. sun: (3,) RGB gain of surfaces that face the sun (0
    when it is hidden). ambient: (3,) RGB gain of the sky's light. haze: (3,) color of the air, 0..255.
    haze_per_m: extinction. lamps_lit: whether street lamps, windows and head lights shine.
    """

    sun_direction: Array
    sun: Array
    ambient: Array
    haze: Array
    haze_per_m: float
    lamps_lit: bool

    @property
    def casts_shadows(self) -> bool:
        """True when the sun is out."""
        return float(self.sun.max()) > 0.15

    def gain(self, normals: Array) -> Array:
        """RGB gain (N, 3) of surfaces with unit normals (N, 3): sky light from above plus the sun."""
        facing = np.clip(normals @ self.sun_direction, 0.0, 1.0)[:, None]
        from_sky = (0.84 + 0.16 * normals[:, 1] - 0.05 * normals[:, 2])[:, None]
        return np.asarray(from_sky * self.ambient + facing * self.sun)

    def upright_gain(self) -> Array:
        """RGB gain (3,) of things drawn as upright pictures, which have no one normal."""
        return np.asarray(self.ambient * 0.9 + self.sun * 0.45)

    def clear_share(self, distance_m: float) -> float:
        """Share of a surface's own color that arrives through the air."""
        return math.exp(-self.haze_per_m * max(distance_m, 0.0))

    def table(self, gain: Array, distance_m: float) -> npt.NDArray[np.uint8]:
        """Look-up table (1, 256, 3) for cv2.LUT that lights and hazes a texture at one distance."""
        clear = self.clear_share(distance_m)
        values = _RAMP * (gain * clear)[None] + self.haze * (1.0 - clear)
        return np.clip(values + 0.5, 0, 255).astype(np.uint8)[None]
