"""The pinhole camera: from metres in the street's frame to pixels of the canvas.

World frame: X to the right, Y up, Z along the street; the ground is Y = 0 and the camera stands above (x,
0, 0).
Streets bend and rise: every point is displaced by a quadratic function of its Z before it is projected, so
that whatever is placed in the straight street's coordinates follows the bend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

NEAR_M = 0.45
BEND_END_M = 150.0
WIDEST_TANGENT = 12.0


@dataclass(frozen=True)
class Camera:
    """A camera over the street.

    width_px, height_px: size of the canvas. focal_px: focal length. position_m: (3,). rotation: (3, 3),
    rows are the camera's right, down and forward axes in the world. bend_per_m, rise_per_m: displacement of
    X and Y is the coefficient times Z squared (held constant beyond 150 m).
    """

    width_px: int
    height_px: int
    focal_px: float
    position_m: Array
    rotation: Array
    bend_per_m: float = 0.0
    rise_per_m: float = 0.0

    @staticmethod
    def rotation_of(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Array:
        """Rotation (3, 3) of a camera turned right by yaw, down by pitch and clockwise by roll."""
        yaw, pitch, roll = (math.radians(v) for v in (yaw_deg, pitch_deg, roll_deg))
        forward = np.array(
            [math.sin(yaw) * math.cos(pitch), -math.sin(pitch), math.cos(yaw) * math.cos(pitch)]
        )
        up = np.array([math.sin(yaw) * math.sin(pitch), math.cos(pitch), math.cos(yaw) * math.sin(pitch)])
        right = np.array([math.cos(yaw), 0.0, -math.sin(yaw)])
        return np.stack(
            [
                right * math.cos(roll) - up * math.sin(roll),
                -up * math.cos(roll) - right * math.sin(roll),
                forward,
            ]
        )

    def to_camera(self, points_m: Array) -> Array:
        """World points (N, 3) in metres -> camera coordinates (N, 3): right, down, forward."""
        bent = points_m - self.position_m
        if self.bend_per_m or self.rise_per_m:
            along = np.minimum(np.maximum(points_m[:, 2], 0.0), BEND_END_M) ** 2
            bent[:, 0] += self.bend_per_m * along
            bent[:, 1] += self.rise_per_m * along
        return np.asarray(bent @ self.rotation.T)

    def to_pixels(self, camera_points: Array) -> Array:
        """Camera coordinates (N, 3), all in front of the camera, -> pixels (N, 2)."""
        scale = self.focal_px / camera_points[:, 2:3]
        return np.asarray(camera_points[:, :2] * scale + (self.width_px / 2, self.height_px / 2))

    def pixels_per_metre(self, x_m: float, z_m: float) -> float:
        """Magnification at a point of the ground, in px/m; 0 behind the camera."""
        depth = self.point(x_m, 0.0, z_m)[2]
        return self.focal_px / depth if depth > NEAR_M else 0.0

    @cached_property
    def _numbers(self) -> tuple[float, ...]:
        return (*self.position_m.tolist(), *self.rotation.ravel().tolist())

    def point(self, x_m: float, y_m: float, z_m: float) -> tuple[float, float, float]:
        """Camera coordinates of one world point; far quicker than `to_camera` on an array of one."""
        x, y, z, xx, xy, xz, yx, yy, yz, zx, zy, zz = self._numbers
        along = min(max(z_m, 0.0), BEND_END_M) ** 2
        x, y, z = x_m - x + self.bend_per_m * along, y_m - y + self.rise_per_m * along, z_m - z
        return xx * x + xy * y + xz * z, yx * x + yy * y + yz * z, zx * x + zy * y + zz * z

    def plane_homography(self, corners_m: Array, extent: tuple[float, float]) -> Array:
        """Homography (3, 3) from texture coordinates to pixels for the parallelogram of three corners.

        corners_m: (3, 3) camera coordinates of the texture's top left, top right and bottom left; extent: the
        texture's (width, height) in its own units.
        """
        origin = corners_m[0]
        columns = np.stack(
            [(corners_m[1] - origin) / extent[0], (corners_m[2] - origin) / extent[1], origin], axis=1
        )
        intrinsic = np.array(
            [
                [self.focal_px, 0.0, self.width_px / 2],
                [0.0, self.focal_px, self.height_px / 2],
                [0.0, 0.0, 1.0],
            ]
        )
        return np.asarray(intrinsic @ columns)

    def horizon_row(self) -> float:
        """Row in px where level ground vanishes, at the column in the middle of the picture."""
        down, forward = -self.rotation[1, 1], -self.rotation[2, 1]
        return float(self.height_px / 2 - self.focal_px * forward / max(down, 1e-6))


def clip_to_view(camera_points: Array) -> Array:
    """The part of a polygon (N, 3) in front of the near plane and not far aside: (M, 3), M = 0 when nothing
    remains.

    Clipping at the sides keeps coordinates within what cv2 can fill; everything in the picture is far
    inside of them.
    """
    depth = camera_points[:, 2]
    if depth.min() >= NEAR_M and (np.abs(camera_points[:, :2]).max(1) <= WIDEST_TANGENT * depth).all():
        return camera_points
    points = _clip(camera_points, depth - NEAR_M)
    for axis in (0, 1):
        for sign in (-1.0, 1.0):
            if len(points):
                points = _clip(points, WIDEST_TANGENT * points[:, 2] - sign * points[:, axis])
    return points


def _clip(points: Array, inside: Array) -> Array:
    """The part of a polygon where `inside` (N,), linear on the polygon, is not negative."""
    if bool((inside >= 0).all()):
        return points
    kept: list[Array] = []
    for i in range(len(points)):
        j = (i + 1) % len(points)
        if inside[i] >= 0:
            kept.append(points[i])
        if (inside[i] >= 0) != (inside[j] >= 0):
            kept.append(points[i] + inside[i] / (inside[i] - inside[j]) * (points[j] - points[i]))
    return np.array(kept) if len(kept) >= 3 else np.empty((0, 3))
