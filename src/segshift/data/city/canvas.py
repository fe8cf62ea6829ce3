"""The picture being painted: colour and label in one array, so that both always come from the same geometry.

The canvas is twice the size of the result. At the end colours are averaged over 2 x 2 pixels, and a pixel's label is the
one that covers most of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from segshift.data.city.camera import NEAR_M, Array, Camera, clip_near
from segshift.data.city.light import Light
from segshift.data.city.mesh import Mesh

# One picture is too small to share among threads, and data workers already fill the cores.
cv2.setNumThreads(1)

SUPERSAMPLING = 2
OPAQUE = 96
_SHIFT = 4
_LIMIT_PX = 60_000.0

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Texture:
    """A pooled picture. color: (h, w, 3). alpha: (h, w) coverage or None when opaque. label: class, or (h, w) classes.

    glow: (h, w, 3) light that the surface gives off when the lamps are lit, or None.
    """

    color: Bytes
    label: int | Bytes
    alpha: Bytes | None = None
    glow: Bytes | None = None


@dataclass(frozen=True)
class Glow:
    """A lamp's halo: centre and radius in canvas px, RGB strength 0..255."""

    x_px: float
    y_px: float
    radius_px: float
    color: tuple[float, float, float]


@dataclass
class Canvas:
    """Paints polygons, meshes, textured planes and upright sprites from back to front.

    pixels: (H, W, 4) uint8, RGB and the train id.
    """

    camera: Camera
    light: Light
    pixels: Bytes = field(init=False)
    glows: list[Glow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pixels = np.zeros((self.camera.height_px, self.camera.width_px, 4), np.uint8)

    def outline(self, points_m: Array) -> npt.NDArray[np.int32] | None:
        """World polygon (N, 3) -> fixed point pixels (M, 2) for cv2.fillPoly, or None when it is out of sight."""
        seen = clip_near(self.camera.to_camera(points_m))
        return None if len(seen) < 3 else _fixed(self.camera.to_pixels(seen))

    def polygon(self, points_m: Array, color: Array, label: int, distance_m: float | None = None) -> None:
        """Fill a world polygon (N, 3) with an RGB colour that is already lit; haze is added for distance_m."""
        outline = self.outline(points_m)
        if outline is None:
            return
        if distance_m is not None:
            clear = self.light.clear_share(distance_m)
            color = color * clear + self.light.haze * (1.0 - clear)
        self._fill(outline, color, label)

    def _fill(self, outline: npt.NDArray[np.int32], color: Array, label: int) -> None:
        red, green, blue = np.clip(color, 0, 255).tolist()
        cv2.fillPoly(self.pixels, [outline], (red, green, blue, label), shift=_SHIFT)

    def mesh(self, mesh: Mesh, palette: Array, glowing: Sequence[int] = ()) -> None:
        """Paint a mesh's faces in their order, without those that look away.

        palette: (M, 3) RGB colour of each material. glowing: materials that are not darkened by the light.
        """
        points = self.camera.to_camera(mesh.vertices_m)
        depth = points[:, 2]
        if depth.max() < NEAR_M:
            return
        clear = self.light.clear_share(float(depth.mean()))
        size_px = self.camera.focal_px / max(float(depth.min()), NEAR_M)
        gain = self.light.gain(mesh.normals)
        colors = palette[mesh.materials] * gain * mesh.shades[:, None]
        for material in glowing:
            chosen = mesh.materials == material
            colors[chosen] = palette[material]
        colors = np.clip(colors * clear + self.light.haze * (1.0 - clear), 0, 255)
        towards = np.einsum("ij,ij->i", mesh.normals @ self.camera.rotation.T, points[mesh.anchors]) < 0
        # Sub-pixel details cost time and only alias.
        drawn = np.flatnonzero(towards & (mesh.sizes_m * size_px > 1.2))
        whole = depth.min() >= NEAR_M
        pixels = _fixed(self.camera.to_pixels(points)) if whole else None
        rgb = colors.tolist()
        for index in drawn.tolist():
            face = mesh.faces[index]
            if pixels is not None:
                outline = pixels[face]
            else:
                seen = clip_near(points[face])
                if len(seen) < 3:
                    continue
                outline = _fixed(self.camera.to_pixels(seen))
            cv2.fillPoly(self.pixels, [outline], (*rgb[index], int(mesh.labels[index])), shift=_SHIFT)

    def plane(self, texture: Texture, corners_m: Array, gain: Array, distance_m: float) -> None:
        """Paint a texture on the world parallelogram of corners (4, 3): top left, top right, bottom right, bottom left.

        Perspective is exact. gain: (3,) RGB light on the surface.
        """
        points = self.camera.to_camera(corners_m)
        seen = clip_near(points)
        if len(seen) < 3:
            return
        outline = self.camera.to_pixels(seen)
        box = self._box(outline)
        if box is None:
            return
        x0, y0, x1, y1 = box
        height, width = texture.color.shape[:2]
        span = outline.max(0) - outline.min(0)
        # Minify before warping: linear interpolation alone would alias on walls seen at a grazing angle.
        size = (int(np.clip(span[0] * 1.3, 2, width)), int(np.clip(span[1] * 1.1, 2, height)))
        shrink = size[0] < width * 0.8 or size[1] < height * 0.8
        if not shrink:
            size = (width, height)
        forward = self.camera.plane_homography(points[[0, 1, 3]], (float(size[0]), float(size[1])))
        forward = np.array([[1.0, 0.0, -x0], [0.0, 1.0, -y0], [0.0, 0.0, 1.0]]) @ forward
        if abs(np.linalg.det(forward)) < 1e-9:
            return
        backward = np.linalg.inv(forward)

        def warp(picture: Bytes) -> Bytes:
            source = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if shrink else picture
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            return _bytes(
                cv2.warpPerspective(source, backward, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            )

        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(mask, [_fixed(outline - (x0, y0))], 255, shift=_SHIFT)
        color = _bytes(cv2.LUT(warp(texture.color), self.light.table(gain, distance_m)))
        if texture.glow is not None and self.light.lamps_lit:
            color = _bytes(cv2.add(color, warp(texture.glow)))
        if texture.alpha is not None:
            mask[warp(texture.alpha) < OPAQUE] = 0
        target = self.pixels[y0:y1, x0:x1]
        assert isinstance(texture.label, int)
        source = cv2.merge([color, np.full(mask.shape, texture.label, np.uint8)])
        cv2.copyTo(source, mask, target)

    def sprite(
        self,
        texture: Texture,
        base_m: tuple[float, float, float],
        size_m: tuple[float, float],
        gain: Array,
        mirrored: bool = False,
    ) -> None:
        """Paint an upright picture that faces the camera.

        base_m: world point at the middle of its lower edge. size_m: (width, height). Coverage below a third is not
        painted, so that label and colour agree; partial coverage above it is blended.
        """
        x, y, z = base_m
        ends = self.camera.to_camera(np.array([[x, y, z], [x, y + size_m[1], z]]))
        if ends[:, 2].min() < NEAR_M * 2:
            return
        foot, head = self.camera.to_pixels(ends)
        half = size_m[0] * self.camera.focal_px / float(ends[0, 2]) / 2
        left, right = round(foot[0] - half), round(foot[0] + half)
        top, bottom = round(min(head[1], foot[1] - 1)), round(foot[1])
        width, height = max(right - left, 1), max(bottom - top, 1)
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + width, self.camera.width_px), min(top + height, self.camera.height_px)
        if x0 >= x1 or y0 >= y1 or height > 6 * self.camera.height_px:
            return

        def fit(picture: Bytes, interpolation: int) -> Bytes:
            sized = cv2.resize(picture, (width, height), interpolation=interpolation)
            if mirrored:
                sized = cv2.flip(sized, 1)
            return _bytes(sized)[y0 - top : y1 - top, x0 - left : x1 - left]

        source_height = texture.color.shape[0]
        smooth = cv2.INTER_AREA if height < source_height else cv2.INTER_LINEAR
        color = fit(_bytes(cv2.LUT(texture.color, self.light.table(gain, float(ends[0, 2])))), smooth)
        target = self.pixels[y0:y1, x0:x1]
        if texture.alpha is None:
            assert isinstance(texture.label, int)
            target[..., :3] = color
            target[..., 3] = texture.label
            return
        alpha = fit(texture.alpha, smooth)
        solid = alpha >= OPAQUE
        weight = alpha.astype(np.uint16)
        # Edges are made fully opaque by the 2 x 2 averaging; only glass, spokes and leaves stay see-through.
        weight[alpha > 170] = 256
        weight[~solid] = 0
        weight = weight[..., None]
        blended = (color * weight + target[..., :3] * (256 - weight)) >> 8
        target[..., :3] = blended.astype(np.uint8)
        label = texture.label if isinstance(texture.label, int) else fit(texture.label, cv2.INTER_NEAREST)[solid]
        target[..., 3][solid] = label

    def glow(self, point_m: Array, radius_m: float, color: tuple[float, float, float]) -> None:
        """Remember a halo of light around a world point (3,); `sensor` adds it to the finished picture."""
        seen = self.camera.to_camera(point_m[None])
        if seen[0, 2] < 1.0:
            return
        x, y = self.camera.to_pixels(seen)[0].tolist()
        radius = radius_m * self.camera.focal_px / float(seen[0, 2])
        if -radius < x < self.camera.width_px + radius and -radius < y < self.camera.height_px + radius:
            self.glows.append(Glow(x, y, radius, color))

    def _box(self, outline: Array) -> tuple[int, int, int, int] | None:
        low = np.floor(outline.min(0)).astype(int)
        high = np.ceil(outline.max(0)).astype(int) + 1
        x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
        x1, y1 = min(int(high[0]), self.camera.width_px), min(int(high[1]), self.camera.height_px)
        return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def reduced(self) -> tuple[Bytes, Bytes]:
        """The finished picture: image (H/2, W/2, 3) and label (H/2, W/2), both uint8."""
        height, width = self.pixels.shape[0] // SUPERSAMPLING, self.pixels.shape[1] // SUPERSAMPLING
        image = _bytes(cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_AREA))[..., :3]
        label = self.pixels[..., 3]
        a, b, c, d = label[::2, ::2], label[::2, 1::2], label[1::2, ::2], label[1::2, 1::2]
        votes = np.where((a == b) | (a == c) | (a == d), a, np.where((b == c) | (b == d), b, np.where(c == d, c, a)))
        return np.ascontiguousarray(image), votes.astype(np.uint8)


def _fixed(pixels: Array) -> npt.NDArray[np.int32]:
    # fillPoly puts integers at pixel centres, geometry puts them at pixel corners.
    limited = np.clip(pixels - 0.5, -_LIMIT_PX, _LIMIT_PX)
    return np.rint(limited * (1 << _SHIFT)).astype(np.int32)


def _bytes(picture: object) -> Bytes:
    return np.asarray(picture, dtype=np.uint8)
