"""From a style and a seed to a labelled picture: plan the scene, paint it back to front, expose it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from segshift.city.buildings import backdrop, frontage
from segshift.city.camera import Camera
from segshift.city.canvas import SUPERSAMPLING, Bytes, Canvas
from segshift.city.classes import VOID
from segshift.city.ground import GroundPainter
from segshift.city.light import Light
from segshift.city.pools import pool_of, style_key
from segshift.city.sensor import expose
from segshift.city.sky import paint_sky
from segshift.city.street import Drawable, Street, painting_order, plan_street
from segshift.city.street_furniture import furnish, gantry
from segshift.city.styles import STYLES, Sky, Style
from segshift.city.traffic import Occupancy, people, traffic
from segshift.city.vegetation import plant_tree
from segshift.config import did_you_mean
from segshift.errors import InputError

MIN_SIDE_PX, MAX_SIDE_PX = 32, 4096


@dataclass(frozen=True)
class Scene:
    """image: (H, W, 3) uint8 RGB. label: (H, W) uint8 Cityscapes train ids, 255 = ignore."""

    image: Bytes
    label: Bytes


def find_style(style: str | Style) -> Style:
    """The style of a name ("city:game", or "game" for short).

    Raises:
        InputError: no style has that name.
    """
    if isinstance(style, Style):
        return style
    name = style if ":" in style else f"city:{style}"
    if name not in STYLES:
        raise InputError(f"city style {style!r} is unknown{did_you_mean(name, sorted(STYLES))}")
    return STYLES[name]


def render(style: str | Style, seed: int, size: tuple[int, int] = (480, 360)) -> Scene:
    """Render one labelled street scene.

    style: a name in STYLES or a Style. seed: >= 0; the same style, seed and size give the same bytes in any
    process. size: (width, height) in px, 32..4096 each.

    Raises:
        InputError: unknown style, negative seed or a size out of range.
    """
    chosen = find_style(style)
    width, height = size
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in size):
        raise InputError(f"size {width}x{height}: each side must be {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels")
    if seed < 0:
        raise InputError(f"seed {seed}: must not be negative")
    # Independent streams: what the ground draws must not move the cars.
    layout, ground, air, camera_stream = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence([seed, style_key(chosen)]).spawn(4)
    )
    pool = pool_of(chosen)
    street = plan_street(layout, chosen)
    camera = _camera(layout, chosen, street, width * SUPERSAMPLING, height * SUPERSAMPLING)
    sky = chosen.skies[int(air.integers(len(chosen.skies)))]
    canvas = Canvas(camera, _light(air, chosen, sky))
    camera_x = float(camera.position_m[0])

    used = Occupancy()
    things = traffic(layout, pool, chosen, street, camera_x, used)
    things += people(layout, pool, chosen, street, camera_x, used)
    for side in street.sides:
        things += frontage(layout, pool, chosen, street, side)
        things += furnish(layout, pool, chosen, street, side)
        things += _avenue(layout, chosen, street, used, side.sign)
    if layout.random() < 0.12:
        reach = 0.8
        at = layout.uniform(22, 60)
        if not street.in_junction(at, 1.0):
            things.append(gantry(layout, -street.left.curb_m - reach, street.right.curb_m + reach, at))
    far = backdrop(layout, pool, chosen)

    paint_sky(canvas, air, pool, sky)
    painter = GroundPainter(canvas, ground, pool, chosen, street)
    painter.paint()
    painter.finish(things)
    for thing in [*painting_order(far, camera_x), *painting_order(things, camera_x)]:
        thing.draw(canvas)
    if camera_stream.random() < chosen.hood_share:
        _hood(canvas, camera_stream)
    image, label = expose(canvas, camera_stream, pool, chosen)
    return Scene(image, label)


def _camera(rng: np.random.Generator, style: Style, street: Street, width: int, height: int) -> Camera:
    high = rng.random() < style.high_camera_share
    above = rng.uniform(*(style.high_camera_height_m if high else style.camera_height_m))
    own = [lane.x_m for lane in street.lanes if lane.direction > 0 and not lane.tram]
    x = own[int(rng.integers(len(own)))] + rng.normal(0, 0.25)
    side = street.right if street.own_sign > 0 else street.left
    if rng.random() < style.sidewalk_camera_share:
        x = side.sign * (side.curb_m + side.verge_m + 0.4 * side.sidewalk_m)
    elif high and rng.random() < 0.4:
        x = rng.uniform(-street.left.curb_m, street.right.curb_m)
    view = math.radians(rng.uniform(*style.field_of_view_deg))
    focal = max(width, height) / 2 / math.tan(view / 2)
    horizon = rng.uniform(*style.horizon) - (0.08 if high else 0.0)
    pitch = math.degrees(math.atan2((0.5 - horizon) * height, focal))
    yaw = float(np.clip(rng.normal(0, style.yaw_deg), -3 * style.yaw_deg, 3 * style.yaw_deg))
    roll = rng.normal(0, style.roll_deg)
    bend = rng.normal(0, style.bend_per_m) if rng.random() < 0.5 else 0.0
    rise = rng.uniform(0, 0.0003) if rng.random() < 0.3 else 0.0
    position = np.array([x, above, 0.0])
    return Camera(width, height, focal, position, Camera.rotation_of(yaw, pitch, roll), bend, rise)


def _light(rng: np.random.Generator, style: Style, sky: Sky) -> Light:
    azimuth = rng.uniform(0, 2 * math.pi)
    elevation = math.radians(rng.uniform(*style.sun_elevation_deg))
    direction = np.array(
        [
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
            math.cos(elevation) * math.cos(azimuth),
        ]
    )
    sunny = rng.random() < style.sun_share
    sun = np.array(style.sun) * (rng.uniform(0.8, 1.15) if sunny else 0.12)
    ambient = (
        np.array(style.ambient) * rng.uniform(0.9, 1.1) * (1.0 if sunny or style.sun_share < 0.5 else 1.2)
    )
    haze = np.array(sky.horizon) * 0.93
    return Light(direction, sun, ambient, haze, rng.uniform(*style.haze_per_m), style.lamps_lit)


def _avenue(
    rng: np.random.Generator, style: Style, street: Street, used: Occupancy, sign: int
) -> list[Drawable]:
    """A row of trees along the sidewalk or the verge."""
    side = street.right if sign > 0 else street.left
    things: list[Drawable] = []
    if rng.random() > 0.42 * style.trees:
        return things
    x = sign * (side.curb_m + max(side.verge_m / 2, 0.7))
    z, gap, height = rng.uniform(4, 16), rng.uniform(7.0, 15.0), rng.uniform(5.0, 10.0)
    while z < 105:
        if not street.in_junction(z, 1.5) and rng.random() < 0.9:
            tree = plant_tree(rng, pool_of(style), style, x, z, height * rng.uniform(0.8, 1.15))
            things.append(tree)
        z += gap
    return things


def _hood(canvas: Canvas, rng: np.random.Generator) -> None:
    """The own car's hood along the lower edge, which no train id covers."""
    width, height = canvas.camera.width_px, canvas.camera.height_px
    top = height * (1 - rng.uniform(0.03, 0.09))
    across = np.linspace(-1.15, 1.15, 25)
    sag = height * rng.uniform(0.03, 0.08)
    tone = rng.uniform(22, 80) * float(canvas.light.ambient.mean())
    for offset, shade in ((0.0, 1.0), (0.018 * height, 1.6), (0.03 * height, 1.15)):
        rows = top + offset + sag * np.abs(across) ** 2.5
        outline = np.stack([width / 2 + across * width / 2, rows], 1)
        corners = np.array([[width * 1.1, height * 1.1], [-width * 0.1, height * 1.1]])
        points = np.rint(np.concatenate([outline, corners])).astype(np.int32)
        color = tone * shade
        cv2.fillPoly(canvas.pixels, [points], (color, color, color * 1.05, VOID))
