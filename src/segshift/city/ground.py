"""The ground: roads with their markings, sidewalks, grass, their grain, and the shadows that fall on them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import cv2
import numpy as np

from segshift.city.camera import Array
from segshift.city.canvas import SUPERSAMPLING, Bytes, Canvas
from segshift.city.classes import ROAD, SIDEWALK, TERRAIN
from segshift.city.pools import Pool
from segshift.city.street import Drawable, Street
from segshift.city.styles import Style

_STATIONS = np.array([-2.0, 1.0, 3.0, 6.0, 10.0, 16.0, 25.0, 40.0, 60.0, 85.0, 115.0, 150.0, 420.0])
_RING = np.stack([np.cos(np.arange(8) * math.pi / 4), np.sin(np.arange(8) * math.pi / 4)], 1)
_UP = np.array([[0.0, 1.0, 0.0]])


def _on_ground(plan: Array) -> Array:
    """Points (N, 2) of the plan (X, Z) as world points (N, 3)."""
    points = np.zeros((len(plan), 3))
    points[:, 0], points[:, 2] = plan[:, 0], plan[:, 1]
    return points


class GroundPainter:
    """Paints the ground of one scene; colors are lit and hazed by distance strip by strip."""

    def __init__(
        self, canvas: Canvas, rng: np.random.Generator, pool: Pool, style: Style, street: Street
    ) -> None:
        self.canvas, self.rng, self.pool, self.style, self.street = canvas, rng, pool, style, street
        self.gain = canvas.light.gain(_UP)[0]

    def strip(self, x0: float, x1: float, z0: float, z1: float, color: Array, label: int) -> None:
        """Paint the rectangle x0..x1, z0..z1 along the bend."""
        distance = max(0.0, z0) + 0.25 * min(z1 - max(0.0, z0), 60.0)
        if z1 - z0 < 8:
            corners = np.array([[x0, 0.0, z0], [x1, 0.0, z0], [x1, 0.0, z1], [x0, 0.0, z1]])
            self.canvas.polygon(corners, color * self.gain, label, distance)
            return
        inner = _STATIONS[(z0 < _STATIONS) & (z1 > _STATIONS)]
        stations = np.concatenate([[z0], inner, [z1]])
        near = np.stack([np.full_like(stations, x0), np.zeros_like(stations), stations], 1)
        far = np.stack([np.full_like(stations, x1), np.zeros_like(stations), stations], 1)[::-1]
        self.canvas.polygon(np.concatenate([near, far]), color * self.gain, label, distance)

    def paint(self) -> None:
        """Paint everything except grain and shadows."""
        rng, street = self.rng, self.street
        grass = (
            np.array(self.style.foliage[int(rng.integers(len(self.style.foliage)))]) * rng.uniform(1.0, 1.25)
            + 8
        )
        if rng.random() < 0.25:
            grass = grass * 0.7 + np.array([120.0, 100.0, 70.0]) * 0.35
        asphalt = np.full(3, rng.uniform(*self.style.asphalt)) + rng.normal(0, 2.5, 3)
        slabs = np.full(3, rng.uniform(126, 172)) * np.array([1.0, 0.985, 0.955]) + rng.normal(0, 3, 3)
        if rng.random() < 0.2:
            slabs = np.array([152.0, 112.0, 94.0]) * rng.uniform(0.8, 1.1)
        self.strip(-260, 260, -3, 600, grass, TERRAIN)
        for side in street.sides:
            s, far = side.sign, 150.0
            if side.paved_yard:
                self.strip(s * side.edge_m, s * (side.facade_m + 30), -2, far, slabs * 0.92, SIDEWALK)
            self.strip(s * (side.curb_m + side.verge_m), s * side.edge_m, -2, far, slabs, SIDEWALK)
            if side.verge_m:
                self.strip(s * side.curb_m, s * (side.curb_m + side.verge_m), -2, far, grass, TERRAIN)
            self.strip(s * side.curb_m, s * (side.curb_m + 0.16), -2, far, slabs * 1.14 + 6, SIDEWALK)
        left, right = street.left.curb_m, street.right.curb_m
        self.strip(-left, right, -2, 150, asphalt, ROAD)
        for z0, z1 in street.junctions:
            self.strip(-140, 140, z0, z1, asphalt, ROAD)
        self._wear(asphalt)
        for side in street.sides:
            gutter = side.sign * (side.curb_m - 0.35)
            self.strip(gutter, side.sign * side.curb_m, -2, 90, asphalt * 0.86, ROAD)
        if street.median_m:
            half = street.median_m / 2
            cuts = [
                -2.0,
                *[z for junction in street.junctions for z in (junction[0] - 3, junction[1] + 3)],
                150.0,
            ]
            for z0, z1 in zip(cuts[::2], cuts[1::2], strict=True):
                if z1 > z0:
                    self.strip(-half, half, z0, z1, slabs * 1.1, SIDEWALK)
                    self.strip(-half + 0.2, half - 0.2, z0 + 0.2, z1 - 0.2, grass, TERRAIN)
        self._markings()

    def _wear(self, asphalt: Array) -> None:
        rng, street = self.rng, self.street
        for _ in range(int(rng.integers(0, 7))):
            lane = street.lanes[int(rng.integers(len(street.lanes)))]
            z, length, width = rng.uniform(2, 40), rng.uniform(1, 9), rng.uniform(0.6, 2.2)
            x = lane.x_m + rng.uniform(-0.8, 0.8)
            self.strip(x - width / 2, x + width / 2, z, z + length, asphalt * rng.uniform(0.8, 1.1), ROAD)
        for _ in range(int(rng.integers(0, 5))):
            lane = street.lanes[int(rng.integers(len(street.lanes)))]
            x, z = lane.x_m + rng.uniform(-0.7, 0.7), rng.uniform(3, 30)
            ring = np.linspace(0, 2 * math.pi, 14, endpoint=False)
            disc = np.stack([x + 0.36 * np.cos(ring), 0 * ring, z + 0.36 * np.sin(ring)], 1)
            self.canvas.polygon(disc, asphalt * 0.6 * self.gain, ROAD, z)
        for lane in street.lanes:
            if lane.tram:
                for offset in (-0.72, 0.72):
                    x = lane.x_m + offset
                    self.strip(x - 0.1, x + 0.1, -2, 100, asphalt * 0.72, ROAD)
                    self.strip(x - 0.035, x + 0.035, -2, 60, asphalt * 1.35 + 20, ROAD)

    def _markings(self) -> None:
        rng, street = self.rng, self.street
        white = np.full(3, 232.0) * rng.uniform(0.78, 1.0)
        paint = np.array([222.0, 178.0, 60.0]) if rng.random() < 0.25 else white
        stops = [*street.junctions, *((z, z + 3.2) for z in street.zebras)]

        def line(x: float, dash: float, gap: float, ink: Array, width: float) -> None:
            z = -1.0 + rng.uniform(0, dash + gap)
            while z < 75:
                end = min(z + dash, 90.0)
                blocked = [(a, b) for a, b in stops if a - 1.5 < end and b + 1.5 > z]
                if not blocked:
                    self.strip(x - width / 2, x + width / 2, z, end, ink, ROAD)
                elif z < blocked[0][0] - 1.5:
                    self.strip(x - width / 2, x + width / 2, z, blocked[0][0] - 1.5, ink, ROAD)
                z += dash + gap

        marked = rng.random() < 0.88
        xs = sorted(lane.x_m for lane in street.lanes)
        if marked:
            solid = rng.random() < 0.35
            for a, b in itertools.pairwise(xs):
                x = (a + b) / 2
                middle = abs(x) < 0.3
                if middle and street.median_m:
                    continue
                if middle and solid:
                    for offset in (-0.13, 0.13):
                        line(x + offset, 12.0, 0.0, paint, 0.12)
                else:
                    line(x, 3.0, rng.uniform(3.5, 6.0), paint if middle else white, 0.15)
        for side in street.sides:
            if side.parking and rng.random() < 0.6:
                line(side.sign * (side.curb_m - 2.25), 12.0, 0.0, white, 0.1)
            elif rng.random() < 0.4:
                ink = np.array([214.0, 170.0, 50.0]) if rng.random() < 0.5 else white
                line(side.sign * (side.curb_m - 0.4), 12.0, 0.0, ink, 0.12)
                if rng.random() < 0.5:
                    line(side.sign * (side.curb_m - 0.62), 12.0, 0.0, ink, 0.12)
        for z in street.zebras:
            x = -street.left.curb_m + 0.4
            while x < street.right.curb_m - 0.5:
                # The median is a refuge; stripes stop at its curb.
                if x > street.median_m / 2 or x + 0.55 < -street.median_m / 2:
                    self.strip(x, x + 0.55, z, z + 3.0, white, ROAD)
                x += 1.1
        for z0, _ in street.junctions:
            zebra = any(z0 - 5 < z < z0 for z in street.zebras)
            z = z0 - (5.6 if zebra else 1.4)
            edge = street.right.curb_m if street.own_sign > 0 else street.left.curb_m
            a, b = sorted((street.own_sign * street.median_m / 2, street.own_sign * (edge - 0.3)))
            self.strip(a, b, z, z + 0.45, white, ROAD)
            if rng.random() < 0.5 and z > 12:
                for lane in street.lanes:
                    if lane.direction > 0 and not lane.tram:
                        self._arrow(lane.x_m, z - 7.0, white)

    def _arrow(self, x: float, z: float, ink: Array) -> None:
        self.strip(x - 0.09, x + 0.09, z, z + 2.6, ink, ROAD)
        tip = np.array([[x - 0.4, 0, z + 2.5], [x + 0.4, 0, z + 2.5], [x, 0, z + 4.2]])
        self.canvas.polygon(tip, ink * self.gain, ROAD, z)

    def finish(self, things: Sequence[Drawable]) -> None:
        """Multiply the painted ground by its grain and by the shadows of things."""
        camera = self.canvas.camera
        width, height = camera.width_px // SUPERSAMPLING, camera.height_px // SUPERSAMPLING
        top = int(np.clip(camera.horizon_row() / SUPERSAMPLING - 0.12 * height, 0, height - 1))
        rows = height - top
        grain = self._grain(width, rows, top)
        shade = self._shadows(things, width, height)[top:]
        ambient = float((self.canvas.light.ambient / self.gain).mean())
        dark = max(0.35, ambient)
        total = grain * (dark + (1 - dark) * shade[..., 0]) * (0.42 + 0.58 * shade[..., 1])
        gain = np.clip(total * 128 + 0.5, 0, 255).astype(np.uint8)
        target = self.canvas.pixels[top * SUPERSAMPLING :]
        large = cv2.resize(gain, (target.shape[1], target.shape[0]), interpolation=cv2.INTER_LINEAR)
        label = target[..., 3]
        large[(label != ROAD) & (label != SIDEWALK) & (label != TERRAIN)] = 128
        factor = cv2.merge([large, large, large, np.full(large.shape, 128, np.uint8)])
        cv2.multiply(target, factor, dst=target, scale=1 / 128)

    def _grain(self, width: int, rows: int, top: int) -> Array:
        camera = self.canvas.camera
        axes = camera.to_camera(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
        label = self.canvas.pixels[top * SUPERSAMPLING :: SUPERSAMPLING, ::SUPERSAMPLING, 3][:rows, :width]
        below = np.maximum(np.arange(top, top + rows) - camera.horizon_row() / SUPERSAMPLING, 0.5)
        focal, above = camera.focal_px / SUPERSAMPLING, float(camera.position_m[1])
        depth = focal * above / below
        footprint = depth**2 / (focal * above)
        shrink = np.diag([1 / SUPERSAMPLING, 1 / SUPERSAMPLING, 1.0])
        shift = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])
        gain = np.ones((rows, width), np.float32)

        def layer(field: Bytes, per_metre: float, mask: np.ndarray | None, strength: float) -> None:
            forward = shift @ shrink @ camera.plane_homography(axes, (per_metre, per_metre))
            # The texture's origin lies off the camera's axis, where its seams would line up with the road.
            backward = np.array([[1.0, 0.0, 137.0], [0.0, 1.0, 59.0], [0.0, 0.0, 1.0]]) @ np.linalg.inv(
                forward
            )
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            warped = cv2.warpPerspective(
                field, backward, (width, rows), flags=flags, borderMode=cv2.BORDER_WRAP
            )
            # Beyond where a pixel covers many texels the grain averages out.
            fade = np.clip(2.2 / (footprint * per_metre), 0, 1).astype(np.float32)[:, None] * strength
            change = (warped.astype(np.float32) - 128) * (fade / 128)
            if mask is not None:
                change *= mask
            np.multiply(gain, 1 + change, out=gain)

        layer(self.pool.patches, 5.0, None, 1.0)
        road, walk, grass = (np.asarray(label == k) for k in (ROAD, SIDEWALK, TERRAIN))
        if road.any():
            layer(self.pool.asphalt, 30.0, road, 1.0)
        if walk.any():
            layer(self.pool.paving[int(self.rng.integers(3))], 64.0, walk, 1.0)
        if grass.any():
            layer(self.pool.grass, 24.0, grass, 1.0)
            layer(self.pool.grass, 5.0, grass, 0.8)
        return gain.astype(np.float64)

    def _shadows(self, things: Sequence[Drawable], width: int, height: int) -> Array:
        """Share of light (height, width, 2): of the sun, and of the sky beneath vehicles."""
        light = self.canvas.light
        sun = np.full((height, width), 255, np.uint8)
        contact = np.full((height, width), 255, np.uint8)

        def fill(mask: Bytes, points_m: Array, value: int) -> None:
            outline = self.canvas.outline(points_m)
            if outline is not None:
                cv2.fillPoly(mask, [outline // SUPERSAMPLING], value, shift=4)

        direction = light.sun_direction
        reach = -direction[[0, 2]] / max(float(direction[1]), 0.15)
        for thing in things:
            if thing.shadow == "none" or thing.z0 > (90 if thing.height_m > 3 else 50):
                continue
            box = np.array(
                [[thing.x0, thing.z0], [thing.x1, thing.z0], [thing.x1, thing.z1], [thing.x0, thing.z1]]
            )
            if light.casts_shadows:
                self._cast(thing, box, reach, sun, fill)
            if thing.shadow == "vehicle" or (thing.shadow == "box" and thing.height_m < 2.5):
                grow = 0.12 if thing.shadow == "vehicle" else 0.05
                middle = box.mean(0)
                wide = middle + (box - middle) * (1 + grow)
                fill(contact, _on_ground(wide), 120 if thing.shadow == "vehicle" else 150)
        sigma = max(0.6, width / 320)
        if light.casts_shadows:
            sun = np.asarray(cv2.GaussianBlur(sun, (0, 0), sigma * 0.7), np.uint8)
        contact = np.asarray(cv2.GaussianBlur(contact, (0, 0), sigma * 1.4), np.uint8)
        return np.stack([sun, contact], -1) / 255.0

    def _cast(self, thing: Drawable, box: Array, reach: Array, sun: Bytes, fill: object) -> None:
        assert callable(fill)
        if thing.shadow == "crown":
            middle = box.mean(0)
            spread = (thing.x1 - thing.x0) / 2
            count = 12 if thing.z0 < 30 else 4
            far = self.rng.uniform(0.45, 0.95, (count, 1)) * thing.height_m
            spots = middle + reach * far + self.rng.normal(0, spread * 0.4, (count, 2))
            radii = spread * (self.rng.uniform(0.25, 0.5, count) if count > 4 else np.full(count, 0.7))
            for spot, radius in zip(spots, radii.tolist(), strict=True):
                fill(sun, _on_ground(spot + radius * _RING), 0)
            trunk = np.stack(
                [middle - 0.15, middle + np.array([0.15, -0.15]), middle + reach * thing.height_m * 0.5]
            )
            fill(sun, _on_ground(trunk), 0)
            return
        both = np.concatenate([box, box + reach * thing.height_m]).astype(np.float32)
        hull = np.asarray(cv2.convexHull(both), float).reshape(-1, 2)
        fill(sun, _on_ground(hull), 0)
