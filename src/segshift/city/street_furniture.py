"""Poles and what hangs on them: lamps, traffic lights, signs; bollards, bins and bus shelters."""

from __future__ import annotations

import math

import numpy as np

from segshift.city.buildings import barriers
from segshift.city.camera import Array
from segshift.city.canvas import Canvas
from segshift.city.classes import POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN, VOID
from segshift.city.mesh import MeshBuilder
from segshift.city.pools import Pool
from segshift.city.street import Drawable, Side, Street
from segshift.city.styles import Style

# Narrower than this many canvas pixels a pole would flicker in and out of the label.
_THINNEST_PX = 2.6
_METALS = np.array([(96.0, 100.0, 104.0), (52.0, 60.0, 56.0), (140.0, 142.0, 144.0), (40.0, 42.0, 46.0)])
_WHITE, _BLACK = np.array([236.0, 236.0, 232.0]), np.array([28.0, 28.0, 30.0])
_RED, _BLUE = np.array([196.0, 30.0, 38.0]), np.array([28.0, 72.0, 164.0])
_YELLOW, _GREEN = np.array([238.0, 196.0, 44.0]), np.array([24.0, 112.0, 72.0])


def _thin(canvas: Canvas, x: float, z: float, width: float) -> float:
    scale = canvas.camera.pixels_per_metre(x, z)
    return max(width, _THINNEST_PX / scale) if scale > 0 else width


def _quad(x0: float, y0: float, x1: float, y1: float, z: float) -> Array:
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]])


def _post(
    canvas: Canvas, x: float, z: float, height: float, width: float, color: Array, y: float = 0.0
) -> None:
    """An upright pole, its one half darker than the other."""
    if height * canvas.camera.pixels_per_metre(x, z) < 5:
        return
    width = _thin(canvas, x, z, width)
    lit = color * canvas.light.upright_gain()
    canvas.polygon(_quad(x - width / 2, y, x + width / 2, height, z), lit, POLE, z)
    canvas.polygon(_quad(x - width / 2, y, x - width / 8, height, z), lit * 0.72, POLE, z)


def _arm(
    canvas: Canvas, x0: float, x1: float, y0: float, y1: float, z: float, color: Array, width: float
) -> None:
    width = _thin(canvas, x0, z, width)
    points = np.array([[x0, y0, z], [x1, y1, z], [x1, y1 - width, z], [x0, y0 - width, z]])
    canvas.polygon(points, color * canvas.light.upright_gain() * 0.9, POLE, z)


def lamp_post(
    rng: np.random.Generator, x: float, z: float, reach: float, height: float, metal: Array
) -> Drawable:
    """A street lamp whose arm reaches over the road by `reach` metres (signed); 0 is a lantern on top."""
    warm = (255.0, 196.0, 120.0) if rng.random() < 0.7 else (235.0, 240.0, 255.0)

    def draw(canvas: Canvas) -> None:
        _post(canvas, x, z, height, 0.16, metal)
        lit = canvas.light.lamps_lit
        head = np.array(warm) * 1.0 if lit else np.array([200.0, 200.0, 196.0]) * canvas.light.upright_gain()
        if reach:
            _arm(canvas, x, x + reach, height, height + 0.35, z, metal, 0.1)
            end = x + reach
            size = max(0.3, _thin(canvas, x, z, 0.2))
            low = height + 0.3
            canvas.polygon(_quad(end - size, low - 0.1, end + size, low + 0.14, z), metal * 0.8, POLE, z)
            canvas.polygon(
                _quad(end - size * 0.8, low - 0.16, end + size * 0.8, low - 0.02, z), head, POLE, z
            )
            point = np.array([end, low - 0.1, z])
        else:
            canvas.polygon(_quad(x - 0.2, height - 0.05, x + 0.2, height + 0.4, z), head, POLE, z)
            canvas.polygon(_quad(x - 0.26, height + 0.38, x + 0.26, height + 0.48, z), metal * 0.8, POLE, z)
            point = np.array([x, height + 0.2, z])
        if lit:
            canvas.glow(point, 2.2, (warm[0] * 0.75, warm[1] * 0.75, warm[2] * 0.75))

    return Drawable(x - 0.1, x + 0.1, z - 0.1, z + 0.1, height, "box", draw)


def _light_head(canvas: Canvas, x: float, y: float, z: float, state: int, facing: bool) -> None:
    """A housing with three lamps, its lower edge at y."""
    gain = canvas.light.upright_gain()
    half = max(0.17, _thin(canvas, x, z, 0.17) * 0.75)
    tall = max(0.95, half * 3.4)
    canvas.polygon(
        _quad(x - half - 0.05, y - 0.05, x + half + 0.05, y + tall + 0.05, z),
        _BLACK * gain * 0.8,
        TRAFFIC_LIGHT,
        z,
    )
    if not facing:
        canvas.polygon(
            _quad(x - half, y, x + half, y + tall, z), np.array([62.0, 64.0, 62.0]) * gain, TRAFFIC_LIGHT, z
        )
        return
    colors = (np.array([40.0, 226.0, 150.0]), np.array([250.0, 178.0, 50.0]), np.array([250.0, 52.0, 44.0]))
    ring = np.linspace(0, 2 * math.pi, 10, endpoint=False)
    for k, color in enumerate(colors):
        cy = y + tall * (k + 0.5) / 3
        disc = np.stack([x + half * 0.75 * np.cos(ring), cy + half * 0.75 * np.sin(ring), np.full(10, z)], 1)
        canvas.polygon(disc, color if k == state else color * 0.16 * gain + 8, TRAFFIC_LIGHT, z)
        if k == state:
            strength = 0.55 if canvas.light.lamps_lit else 0.12
            canvas.glow(np.array([x, cy, z]), 0.9, tuple((color * strength).tolist()))


def traffic_light(rng: np.random.Generator, x: float, z: float, reach: float) -> Drawable:
    """A traffic light on a pole; with `reach` (signed metres) a second one hangs on an arm over the road."""
    state, facing = int(rng.choice([0, 0, 1, 2, 2])), bool(rng.random() < 0.75)
    metal = _METALS[int(rng.integers(4))]
    height = 5.6 if reach else rng.uniform(3.2, 3.8)

    def draw(canvas: Canvas) -> None:
        _post(canvas, x, z, height, 0.14, metal)
        _light_head(canvas, x, 2.4, z, state, facing)
        if reach:
            _arm(canvas, x, x + reach, height, height + 0.15, z, metal, 0.12)
            _light_head(canvas, x + reach, height - 0.75, z, state, facing)
            _light_head(canvas, x + reach * 0.6, height - 0.75, z, state, facing)

    return Drawable(x - 0.1, x + 0.1, z - 0.1, z + 0.1, height, "box", draw)


def sign_post(rng: np.random.Generator, x: float, z: float) -> Drawable:
    """A traffic sign on a pole: round, triangular, square, octagonal, diamond or a direction board.

    Long, as a list of kinds of signs is.
    """
    kind = str(
        rng.choice(
            ["round", "triangle", "square", "octagon", "diamond", "board"], p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]
        )
    )
    radius, height = rng.uniform(0.33, 0.5), rng.uniform(2.4, 3.3)
    rim, face = {
        "round": [(_RED, _WHITE), (_BLUE, _BLUE), (_WHITE, _BLUE), (_RED, _YELLOW)][int(rng.integers(4))],
        "triangle": (_RED, _WHITE if rng.random() < 0.7 else _YELLOW),
        "square": [(_WHITE, _BLUE), (_BLUE, _WHITE), (_BLACK, _YELLOW)][int(rng.integers(3))],
        "octagon": (_WHITE, _RED),
        "diamond": (_WHITE if rng.random() < 0.5 else _BLACK, _YELLOW),
        "board": (_WHITE, [_GREEN, _BLUE, _YELLOW][int(rng.integers(3))]),
    }[kind]
    dark_ink = float(face.mean()) > 130
    mark, second = int(rng.integers(4)), bool(rng.random() < 0.3)
    wide = rng.uniform(1.6, 2.6) if kind == "board" else 1.0
    metal = np.array([132.0, 134.0, 136.0]) * rng.uniform(0.6, 1.1)

    def shape(size: float, y: float) -> Array:
        if kind in ("square", "board"):
            return _quad(x - size * wide, y - size, x + size * wide, y + size, z - 0.03)
        corners, turn = {
            "round": (16, 0.0),
            "triangle": (3, math.pi / 2),
            "octagon": (8, math.pi / 8),
            "diamond": (4, 0.0),
        }[kind]
        angles = turn + np.linspace(0, 2 * math.pi, corners, endpoint=False)
        return np.stack([x + size * np.cos(angles), y + size * np.sin(angles), np.full(corners, z - 0.03)], 1)

    def draw(canvas: Canvas) -> None:
        _post(canvas, x, z, height, 0.07, metal)
        gain = canvas.light.upright_gain() * 1.08
        # Signs are retro-reflective: head lights make them bright at dusk.
        gain = np.maximum(gain, 0.75) if canvas.light.lamps_lit else gain
        size = max(radius, _thin(canvas, x, z, radius))
        middle = height - size
        canvas.polygon(shape(size, middle), rim * gain, TRAFFIC_SIGN, z)
        canvas.polygon(shape(size * 0.76, middle), face * gain, TRAFFIC_SIGN, z)
        ink = (_BLACK if dark_ink else _WHITE) * gain
        if mark == 0:
            canvas.polygon(
                _quad(x - size * 0.5, middle - 0.06, x + size * 0.5, middle + 0.06, z), ink, TRAFFIC_SIGN, z
            )
        elif mark == 1:
            canvas.polygon(
                _quad(x - 0.05, middle - size * 0.45, x + 0.05, middle + size * 0.4, z), ink, TRAFFIC_SIGN, z
            )
        elif mark == 2:
            for dx in (-0.16, 0.06):
                canvas.polygon(
                    _quad(x + dx, middle - size * 0.35, x + dx + 0.12, middle + size * 0.35, z),
                    ink,
                    TRAFFIC_SIGN,
                    z,
                )
        if second:
            low = middle - size * 1.35
            canvas.polygon(
                _quad(x - size, low - 0.15, x + size, low + 0.15, z), _WHITE * gain, TRAFFIC_SIGN, z
            )

    return Drawable(x - 0.1, x + 0.1, z - 0.1, z + 0.1, height, "box", draw)


def gantry(rng: np.random.Generator, x0: float, x1: float, z: float) -> Drawable:
    """A direction sign on a frame across the whole road."""
    color = (_GREEN if rng.random() < 0.5 else _BLUE) * rng.uniform(0.9, 1.1)
    metal, height = _METALS[int(rng.integers(4))], rng.uniform(6.0, 7.0)
    boards = [
        (x0 + (x1 - x0) * a, x0 + (x1 - x0) * b) for a, b in ((0.1, 0.45), (0.55, 0.9)) if rng.random() < 0.8
    ]

    def draw(canvas: Canvas) -> None:
        _post(canvas, x0, z, height, 0.25, metal)
        _post(canvas, x1, z, height, 0.25, metal)
        _arm(canvas, x0, x1, height, height, z, metal, 0.3)
        gain = canvas.light.upright_gain()
        for a, b in boards:
            canvas.polygon(_quad(a, height - 1.5, b, height + 0.5, z), _WHITE * gain, TRAFFIC_SIGN, z)
            canvas.polygon(
                _quad(a + 0.1, height - 1.4, b - 0.1, height + 0.4, z), color * gain, TRAFFIC_SIGN, z
            )
            for k in range(2):
                y = height - 0.35 - 0.6 * k
                canvas.polygon(
                    _quad(a + 0.5, y, a + (b - a) * (0.8 - 0.2 * k), y + 0.25, z),
                    _WHITE * gain,
                    TRAFFIC_SIGN,
                    z,
                )

    return Drawable(x0, x1, z - 0.1, z + 0.1, height, "none", draw)


def bollard(x: float, z: float, height: float, color: Array) -> Drawable:
    """A short post that keeps cars off the sidewalk."""

    def draw(canvas: Canvas) -> None:
        _post(canvas, x, z, height, 0.16, color)
        top = _quad(x - 0.08, height - 0.25, x + 0.08, height - 0.13, z)
        canvas.polygon(top, _WHITE * canvas.light.upright_gain(), POLE, z)

    return Drawable(x - 0.1, x + 0.1, z - 0.1, z + 0.1, height, "box", draw)


def street_box(rng: np.random.Generator, x: float, z: float) -> Drawable:
    """A bin, a switch cabinet or a letter box: things that no train id covers."""
    width, height, depth = rng.uniform(0.4, 1.0), rng.uniform(0.8, 1.3), rng.uniform(0.4, 0.7)
    mesh = MeshBuilder()
    mesh.box(
        (x - width / 2, 0, z - depth / 2), (x + width / 2, height, z + depth / 2), 0, VOID, 1.0, (0.03, 0.03)
    )
    built = mesh.build()
    palette = np.array([_METALS, np.tile([60.0, 96.0, 70.0], (4, 1)), np.tile([170.0, 60.0, 40.0], (4, 1))])
    color = palette[int(rng.integers(3))][int(rng.integers(4))][None] * rng.uniform(0.8, 1.2)
    return Drawable(
        x - width / 2,
        x + width / 2,
        z - depth / 2,
        z + depth / 2,
        height,
        "box",
        lambda canvas: canvas.mesh(built, color),
    )


def furnish(rng: np.random.Generator, pool: Pool, style: Style, street: Street, side: Side) -> list[Drawable]:
    """Poles, signs, lights, bollards, bins and guard rails of one side of the street."""
    things: list[Drawable] = []
    s, amount = side.sign, style.furniture
    curb = side.curb_m + 0.45
    metal = _METALS[int(rng.integers(4))]
    if rng.random() < 0.85:
        z, gap, height = rng.uniform(3, 20), rng.uniform(16.0, 30.0), rng.uniform(5.5, 9.0)
        reach = -s * rng.uniform(1.0, 2.4) if rng.random() < 0.75 else 0.0
        height = height if reach else rng.uniform(3.6, 5.0)
        while z < 110:
            if not street.in_junction(z, 1.0):
                things.append(lamp_post(rng, s * curb, z, reach, height, metal))
            z += gap
    for _ in range(int(rng.poisson(2.4 * amount))):
        z = 3.0 + 42.0 * rng.random() ** 1.3
        if not street.in_junction(z, 0.5):
            things.append(sign_post(rng, s * (curb + rng.uniform(0, side.verge_m + 0.5)), z))
    own = s == street.own_sign
    for z0, z1 in street.junctions:
        if rng.random() < 0.7:
            arm = -s * rng.uniform(3.0, 5.0) if own and rng.random() < 0.45 else 0.0
            things.append(traffic_light(rng, s * (curb + 0.1), z0 - rng.uniform(0.5, 1.5), arm))
            if rng.random() < 0.7:
                things.append(traffic_light(rng, s * (curb + 0.2), z1 + rng.uniform(0.6, 1.5), 0.0))
        if rng.random() < 0.5:
            things.append(sign_post(rng, s * (curb + 0.5), z0 - rng.uniform(2.0, 3.5)))
    for z in street.zebras:
        if rng.random() < 0.4 * amount and not any(z < a < z + 6 for a, _ in street.junctions):
            things.append(traffic_light(rng, s * curb, z - 0.6, 0.0))
    if rng.random() < 0.22 * amount:
        z, color = rng.uniform(3, 20), _METALS[int(rng.integers(4))] * 0.8
        height = rng.uniform(0.8, 1.1)
        for k in range(int(rng.integers(3, 9))):
            if not street.in_junction(z + 1.6 * k, 0.3):
                things.append(bollard(s * (side.curb_m + 0.3), z + 1.6 * k, height, color))
    elif rng.random() < 0.25 * amount:
        z0 = rng.uniform(4, 25)
        z1 = z0 + rng.uniform(4, 16)
        z1 = min([z1, *[a - 1 for a, _ in street.junctions if a > z0]])
        if z1 - z0 > 2 and not street.in_junction(z0, 1.0):
            things += barriers(rng, pool, "fence", s, side.curb_m + 0.25, z0, z1)
    for _ in range(int(rng.poisson(0.9 * amount))):
        z = rng.uniform(4, 40)
        if not street.in_junction(z, 0.5):
            things.append(street_box(rng, s * (side.curb_m + side.verge_m + 0.6), z))
    return things
