"""The picture being painted: color and label in one array, so that both always come from the same geometry.

The canvas is twice the size of the result. At the end colors are averaged over 2 x 2 pixels, and a pixel's
label is the one that covers most of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from segshift.city.camera import NEAR_M, WIDEST_TANGENT, Array, Camera, clip_to_view
from segshift.city.light import Light
from segshift.city.mesh import Mesh

# One picture is too small to share among threads, and data workers already fill the cores.
cv2.setNumThreads(1)

SUPERSAMPLING = 2
OPAQUE = 96
SMALLEST_PX = 4
_SHIFT = 4
_ONE = 1 << _SHIFT

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Texture:
    """A pooled picture. color: (h, w, 3). alpha: (h, w) coverage or None when opaque. label: class, or (h,
    w) classes.

    glow: (h, w, 3) light that the surface gives off when the lamps are lit, or None.
    """

    color: Bytes
    label: int | Bytes
    alpha: Bytes | None = None
    glow: Bytes | None = None
    _levels: dict[tuple[int, int], Texture] = field(default_factory=dict, repr=False, compare=False)

    def level(self, width: float, height: float) -> Texture:
        """The texture minified by powers of two along each axis, to no less than the given size in px.

        Levels are made when first asked for and kept; what they hold depends on the texture alone.
        """
        rows, columns = self.color.shape[:2]
        halvings = (_halvings(columns, width), _halvings(rows, height))
        if halvings == (0, 0):
            return self
        if halvings not in self._levels:
            size = (max(columns >> halvings[0], 1), max(rows >> halvings[1], 1))

            def smaller(picture: Bytes | None, interpolation: int = cv2.INTER_AREA) -> Bytes | None:
                return (
                    None
                    if picture is None
                    else _bytes(cv2.resize(picture, size, interpolation=interpolation))
                )

            label = self.label if isinstance(self.label, int) else smaller(self.label, cv2.INTER_NEAREST)
            color = smaller(self.color)
            assert color is not None and label is not None
            self._levels[halvings] = Texture(color, label, smaller(self.alpha), smaller(self.glow))
        return self._levels[halvings]


@dataclass(frozen=True)
class Glow:
    """A lamp's halo: center and radius in canvas px, RGB strength 0..255, and the pixel that the lamp was."""

    x_px: float
    y_px: float
    radius_px: float
    color: tuple[float, float, float]
    lamp: tuple[int, ...]


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
        """World polygon (N, 3) -> fixed point pixels (M, 2) for cv2.fillPoly, None when out of sight."""
        quick = self._quick_outline(points_m) if len(points_m) <= 10 else None
        if quick is not None:
            return quick
        seen = clip_to_view(self.camera.to_camera(points_m))
        return None if len(seen) < 3 else _fixed(self.camera.to_pixels(seen))

    def _quick_outline(self, points_m: Array) -> npt.NDArray[np.int32] | None:
        """`outline` of few points that need no clipping; plain numbers are faster than small arrays."""
        camera = self.camera
        focal, middle_x, middle_y = camera.focal_px, camera.width_px / 2 - 0.5, camera.height_px / 2 - 0.5
        corners: list[tuple[int, int]] = []
        for x, y, z in points_m.tolist():
            right, down, forward = camera.point(x, y, z)
            reach = WIDEST_TANGENT * forward
            if forward < NEAR_M or not (-reach <= right <= reach and -reach <= down <= reach):
                return None
            scale = focal / forward
            corners.append(
                (round((middle_x + right * scale) * _ONE), round((middle_y + down * scale) * _ONE))
            )
        return np.array(corners, np.int32)

    def polygon(self, points_m: Array, color: Array, label: int, distance_m: float | None = None) -> None:
        """Fill a world polygon (N, 3) with a color that is already lit; haze is added for distance_m."""
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

        palette: (M, 3) RGB color of each material. glowing: materials that are not darkened by the light.
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
                seen = clip_to_view(points[face])
                if len(seen) < 3:
                    continue
                outline = _fixed(self.camera.to_pixels(seen))
            cv2.fillPoly(self.pixels, [outline], (*rgb[index], int(mesh.labels[index])), shift=_SHIFT)

    def plane(self, texture: Texture, corners_m: Array, gain: Array, distance_m: float) -> None:
        """Paint a texture on the world parallelogram of corners (4, 3): top left, top right, bottom right,
        bottom left.

        Perspective is exact. gain: (3,) RGB light on the surface.
        """
        points = self.camera.to_camera(corners_m)
        seen = clip_to_view(points)
        if len(seen) < 3:
            return
        outline = self.camera.to_pixels(seen)
        box = self._box(outline)
        if box is None:
            return
        x0, y0, x1, y1 = box
        span = outline.max(0) - outline.min(0)
        # Minify before warping: linear interpolation alone would alias on walls seen at a grazing angle.
        texture = texture.level(float(span[0]), float(span[1]))
        height, width = texture.color.shape[:2]
        forward = self.camera.plane_homography(points[[0, 1, 3]], (float(width), float(height)))
        forward = np.array([[1.0, 0.0, -x0], [0.0, 1.0, -y0], [0.0, 0.0, 1.0]]) @ forward
        if abs(np.linalg.det(forward)) < 1e-9:
            return
        backward = np.linalg.inv(forward)

        def warp(picture: Bytes) -> Bytes:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            return _bytes(
                cv2.warpPerspective(
                    picture, backward, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE
                )
            )

        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(mask, [_fixed(outline - (x0, y0))], 255, shift=_SHIFT)
        color = warp(_bytes(cv2.LUT(texture.color, self.light.table(gain, distance_m))))
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

        base_m: world point at the middle of its lower edge. size_m: (width, height). Coverage below a third
        is not painted, so that label and color agree; partial coverage above it is blended.
        """
        x, y, z = base_m
        camera = self.camera
        foot, head = camera.point(x, y, z), camera.point(x, y + size_m[1], z)
        if min(foot[2], head[2]) < NEAR_M * 2:
            return
        scale = camera.focal_px / foot[2]
        middle = camera.width_px / 2 + foot[0] * scale
        half = size_m[0] * scale / 2
        lower = camera.height_px / 2 + foot[1] * scale
        upper = camera.height_px / 2 + head[1] * camera.focal_px / head[2]
        left, right = round(middle - half), round(middle + half)
        top, bottom = round(min(upper, lower - 1)), round(lower)
        width, height = max(right - left, 1), max(bottom - top, 1)
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + width, self.camera.width_px), min(top + height, self.camera.height_px)
        if x0 >= x1 or y0 >= y1 or height < SMALLEST_PX or height > 6 * self.camera.height_px:
            return

        def fit(picture: Bytes, interpolation: int) -> Bytes:
            sized = cv2.resize(picture, (width, height), interpolation=interpolation)
            if mirrored:
                sized = cv2.flip(sized, 1)
            return _bytes(sized)[y0 - top : y1 - top, x0 - left : x1 - left]

        texture = texture.level(width, height)
        color = fit(_bytes(cv2.LUT(texture.color, self.light.table(gain, foot[2]))), cv2.INTER_LINEAR)
        target = self.pixels[y0:y1, x0:x1]
        if texture.alpha is None:
            assert isinstance(texture.label, int)
            target[..., :3] = color
            target[..., 3] = texture.label
            return
        alpha = fit(texture.alpha, cv2.INTER_LINEAR)
        solid = alpha >= OPAQUE
        weight = alpha.astype(np.uint16)
        # Edges are made fully opaque by the 2 x 2 averaging; only glass, spokes and leaves stay see-through.
        weight[alpha > 170] = 256
        weight[~solid] = 0
        weight = weight[..., None]
        blended = (color * weight + target[..., :3] * (256 - weight)) >> 8
        target[..., :3] = blended.astype(np.uint8)
        label = (
            texture.label if isinstance(texture.label, int) else fit(texture.label, cv2.INTER_NEAREST)[solid]
        )
        target[..., 3][solid] = label

    def glow(self, point_m: Array, radius_m: float, color: tuple[float, float, float]) -> None:
        """Remember a halo of light around a world point (3,); `sensor` adds it to the finished picture."""
        seen = self.camera.to_camera(point_m[None])
        if seen[0, 2] < 1.0:
            return
        x, y = self.camera.to_pixels(seen)[0].tolist()
        radius = radius_m * self.camera.focal_px / float(seen[0, 2])
        if -radius < x < self.camera.width_px + radius and -radius < y < self.camera.height_px + radius:
            self.glows.append(Glow(x, y, radius, color, self._pixel(x, y)))

    def visible_glows(self) -> list[Glow]:
        """The halos whose lamps nothing has been painted over since."""
        return [glow for glow in self.glows if glow.lamp == self._pixel(glow.x_px, glow.y_px)]

    def _pixel(self, x: float, y: float) -> tuple[int, ...]:
        inside = 0 <= x < self.camera.width_px and 0 <= y < self.camera.height_px
        return tuple(self.pixels[int(y), int(x)].tolist()) if inside else ()

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
        votes = np.where(
            (a == b) | (a == c) | (a == d), a, np.where((b == c) | (b == d), b, np.where(c == d, c, a))
        )
        return np.ascontiguousarray(image), votes.astype(np.uint8)


def _halvings(size_px: int, wanted_px: float) -> int:
    count = 0
    while size_px >> (count + 1) >= max(wanted_px, 2.0):
        count += 1
    return count


def _fixed(pixels: Array) -> npt.NDArray[np.int32]:
    # fillPoly puts integers at pixel centers, geometry puts them at pixel corners.
    return np.rint((pixels - 0.5) * _ONE).astype(np.int32)


def _bytes(picture: object) -> Bytes:
    return np.asarray(picture, dtype=np.uint8)
