"""What stands along a street: buildings, and between them walls, fences, hedges and trees."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from segshift.city.camera import Array
from segshift.city.canvas import Canvas, Texture
from segshift.city.classes import BUILDING
from segshift.city.facades import Facade
from segshift.city.mesh import MeshBuilder
from segshift.city.pools import Pool
from segshift.city.street import VISIBLE_M, Drawable, Side, Street
from segshift.city.styles import Style
from segshift.city.vegetation import plant_bush, plant_tree

_ROOFS = np.array([(112.0, 62.0, 48.0), (74.0, 76.0, 82.0), (96.0, 84.0, 74.0), (136.0, 76.0, 52.0)])


def _choose(rng: np.random.Generator, options: Sequence[Texture]) -> Texture:
    return options[int(rng.integers(len(options)))]


def _box(
    sign: int,
    near_x: float,
    far_x: float,
    z0: float,
    z1: float,
    height: float,
    shadow: str,
    draw: Callable[[Canvas], None],
) -> Drawable:
    low, high = sorted((sign * near_x, sign * far_x))
    return Drawable(low, high, z0, z1, height, shadow, draw)


def building(rng: np.random.Generator, facade: Facade, sign: int, x_m: float, z_m: float) -> Drawable:
    """A building whose facade stands at x = sign * x_m and begins at z_m.

    Long, as a list of parts is.
    """
    depth = rng.uniform(9.0, 14.0)
    height = facade.height_m
    z1 = z_m + facade.width_m
    near, far, ridge = sign * x_m, sign * (x_m + depth), sign * (x_m + depth / 2)
    tone = rng.uniform(0.9, 1.08)
    roof = _ROOFS[int(rng.integers(4))] * rng.uniform(0.75, 1.15)
    rise = rng.uniform(2.0, 3.8) if facade.pitched else 0.0
    top = MeshBuilder()
    middle = (ridge, 0.0, (z_m + z1) / 2)
    if facade.pitched:
        over = sign * (x_m - 0.35)
        top.face(
            [
                (over, height - 0.15, z_m - 0.1),
                (over, height - 0.15, z1 + 0.1),
                (ridge, height + rise, z1 + 0.1),
                (ridge, height + rise, z_m - 0.1),
            ],
            0,
            BUILDING,
            middle,
        )
        top.face(
            [(near, height - 0.05, z_m), (far, height - 0.05, z_m), (ridge, height + rise - 0.1, z_m)],
            1,
            BUILDING,
            middle,
        )
        for _ in range(int(rng.integers(0, 3))):
            z = rng.uniform(z_m + 0.5, z1 - 1.5)
            top.box(
                (ridge - 0.4, height + rise - 0.8, z),
                (ridge + 0.4, height + rise + 1.0, z + 1.0),
                2,
                BUILDING,
            )
    else:
        top.face(
            [(near, height, z_m), (near, height, z1), (far, height, z1), (far, height, z_m)],
            0,
            BUILDING,
            middle,
        )
        if rng.random() < 0.4 and facade.width_m > 6:
            z = rng.uniform(z_m + 1, z1 - 4)
            low, high = sorted((sign * (x_m + 2.5), sign * (x_m + 6.0)))
            top.box((low, height, z), (high, height + rng.uniform(1.2, 2.8), z + 3), 1, BUILDING, 0.8)
    roof_mesh, palette = top.build(), np.array([roof, facade.wall * 0.92, np.array([120.0, 72.0, 58.0])])

    def draw(canvas: Canvas) -> None:
        gains = canvas.light.gain(np.array([[-float(sign), 0.0, 0.0], [0.0, 0.0, -1.0]])) * tone
        canvas.mesh(roof_mesh, palette)
        front = max(z_m, 0.0)
        if z_m > 0 and abs(near - canvas.camera.position_m[0]) > 0.5:
            a, b = (near, far) if sign > 0 else (far, near)
            corners = np.array([[a, height, z_m], [b, height, z_m], [b, 0, z_m], [a, 0, z_m]])
            canvas.plane(facade.texture, corners, gains[1], z_m)
        # Seen from the street, the left end of a facade on the right is its far end.
        a, b = (z1, z_m) if sign > 0 else (z_m, z1)
        corners = np.array([[near, height, a], [near, height, b], [near, 0, b], [near, 0, a]])
        canvas.plane(facade.texture, corners, gains[0], front + 0.4 * (z1 - front))

    return _box(sign, x_m, x_m + depth, z_m, z1, height + rise * 0.6, "box", draw)


def barrier(
    texture: Texture, sign: int, x_m: float, z0: float, z1: float, height: float, shadow: str = "box"
) -> Drawable:
    """A stretch of wall, fence or hedge at x = sign * x_m."""
    x = sign * x_m
    corners = np.array([[x, height, z0], [x, height, z1], [x, 0, z1], [x, 0, z0]])

    def draw(canvas: Canvas) -> None:
        towards = 1.0 if canvas.camera.position_m[0] > x else -1.0
        gain = canvas.light.gain(np.array([[towards, 0.0, 0.0]]))[0]
        canvas.plane(texture, corners, gain, max(z0, 0.0) + 0.3 * (z1 - z0))

    return _box(sign, x_m, x_m + 0.1, z0, z1, height, shadow, draw)


def barriers(
    rng: np.random.Generator, pool: Pool, kind: str, sign: int, x_m: float, z0: float, z1: float
) -> list[Drawable]:
    """A run of one kind ("wall", "fence" or "hedge") in stretches of about 6 m."""
    options, low, high = {
        "wall": (pool.walls, 0.8, 2.6),
        "fence": (pool.fences, 0.9, 1.9),
        "hedge": (pool.hedges, 0.8, 2.0),
    }[kind]
    texture, height = _choose(rng, options), rng.uniform(low, high)
    count = max(1, round((z1 - z0) / 6.0))
    ends = np.linspace(z0, z1, count + 1)
    shadow = "none" if kind == "fence" else "box"
    return [
        barrier(texture, sign, x_m, float(a), float(b), height, shadow)
        for a, b in itertools.pairwise(ends)
        if b > 0.5
    ]


def _yard(
    rng: np.random.Generator, pool: Pool, style: Style, side: Side, z0: float, z1: float
) -> list[Drawable]:
    """What divides a plot from the sidewalk, and what grows behind it."""
    things: list[Drawable] = []
    if rng.random() < 0.8:
        kind = str(rng.choice(["wall", "fence", "hedge"], p=[0.4, 0.36, 0.24]))
        things += barriers(rng, pool, kind, side.sign, side.edge_m + 0.15, z0, z1)
    room = side.facade_m - side.edge_m
    for _ in range(int(rng.integers(0, 3))):
        x = side.sign * (side.edge_m + rng.uniform(0.8, max(room - 0.5, 0.9)))
        things.append(plant_bush(rng, pool, x, rng.uniform(z0 + 0.5, max(z1 - 0.5, z0 + 0.6))))
    return things


def frontage(
    rng: np.random.Generator, pool: Pool, style: Style, street: Street, side: Side
) -> list[Drawable]:
    """Everything behind the sidewalk on one side of the street."""
    things: list[Drawable] = []
    z = -rng.uniform(4.0, 14.0)
    palette = rng.choice(len(pool.facades), size=10, replace=False)
    while z < VISIBLE_M:
        crossing = next(((a, b) for a, b in street.junctions if a - 3 < z < b + 2), None)
        if crossing is not None:
            z = crossing[1] + 2.5
            continue
        ahead = min((a for a, _ in street.junctions if a > z), default=VISIBLE_M + 40) - 2.5
        facade = pool.facades[int(palette[int(rng.integers(10))])]
        room = ahead - z
        if side.open or rng.random() < style.gap_share or facade.width_m > room:
            length = min(rng.uniform(8.0, 26.0), max(room, 1.0))
            things += _gap(rng, pool, style, side, z, z + length)
            z += length + 0.2
            continue
        things.append(building(rng, facade, side.sign, side.facade_m, z))
        if side.setback_m > 1.6 and not side.paved_yard:
            things += _yard(rng, pool, style, side, z, z + facade.width_m)
        z += facade.width_m + (rng.uniform(0.5, 4.0) if rng.random() < 0.25 else 0.02)
    return things


def _gap(
    rng: np.random.Generator, pool: Pool, style: Style, side: Side, z0: float, z1: float
) -> list[Drawable]:
    things: list[Drawable] = []
    if rng.random() < 0.75 and z1 - z0 > 3:
        kind = str(rng.choice(["wall", "fence", "hedge"], p=[0.45, 0.4, 0.15]))
        things += barriers(rng, pool, kind, side.sign, side.edge_m + 0.2, z0, z1)
    for _ in range(int(rng.poisson((z1 - z0) / 7.0 * style.trees))):
        x = side.sign * (side.edge_m + rng.uniform(2.0, 14.0))
        things.append(plant_tree(rng, pool, style, x, rng.uniform(z0, z1), rng.uniform(5.0, 13.0)))
    for _ in range(int(rng.integers(0, 3))):
        x = side.sign * (side.edge_m + rng.uniform(1.2, 8.0))
        things.append(plant_bush(rng, pool, x, rng.uniform(z0, z1)))
    return things


def backdrop(rng: np.random.Generator, pool: Pool, style: Style) -> list[Drawable]:
    """Far houses and trees that close the view along the street and between its buildings."""
    things: list[Drawable] = []
    for x in np.linspace(-170, 170, 15):
        if rng.random() < 0.72:
            facade = pool.facades[int(rng.integers(len(pool.facades)))]
            things.append(
                _far_block(
                    facade, float(x) + rng.uniform(-8, 8), rng.uniform(150, 210), rng.uniform(0.8, 1.5)
                )
            )
    for x in np.linspace(-120, 120, 18):
        if rng.random() < 0.6:
            at = rng.uniform(132, 149)
            things.append(plant_tree(rng, pool, style, float(x) + rng.uniform(-6, 6), at, rng.uniform(5, 12)))
    return things


def _far_block(facade: Facade, x: float, z: float, scale: float) -> Drawable:
    half, height = facade.width_m * 0.75 * scale, facade.height_m * scale
    corners: Array = np.array(
        [[x - half, height, z], [x + half, height, z], [x + half, 0, z], [x - half, 0, z]]
    )

    def draw(canvas: Canvas) -> None:
        canvas.plane(facade.texture, corners, canvas.light.gain(np.array([[0.0, 0.0, -1.0]]))[0], z)

    return Drawable(x - half, x + half, z, z + 1, height, "none", draw)
