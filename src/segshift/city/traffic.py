"""Vehicles, riders and people as they stand and move in a scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segshift.city.camera import Array
from segshift.city.canvas import Canvas
from segshift.city.large_vehicles import bus, tram, truck
from segshift.city.people import Figure
from segshift.city.pools import Pool
from segshift.city.street import Drawable, Lane, Side, Street
from segshift.city.styles import Style
from segshift.city.vehicles import HEAD_LIGHT, TAIL_LIGHT, VehicleModel, car, palette

_CARS = ("saloon", "hatchback", "estate", "suv", "van")
_CAR_SHARES = (0.28, 0.3, 0.16, 0.16, 0.1)


def _random_car(rng: np.random.Generator) -> VehicleModel:
    return car(str(rng.choice(_CARS, p=_CAR_SHARES)))


def _paint(rng: np.random.Generator, style: Style) -> Array:
    color = np.array(style.paints[int(rng.integers(len(style.paints)))]) * rng.uniform(0.85, 1.1)
    return np.asarray(np.clip(color + rng.normal(0, 5, 3), 8, 245))


def vehicle(
    rng: np.random.Generator,
    style: Style,
    model: VehicleModel,
    x: float,
    z: float,
    heading_deg: float,
    moving: bool,
) -> Drawable:
    """A vehicle whose middle stands at (x, z); heading 0 drives away from the camera, 180 towards it."""
    second = _paint(rng, style) if rng.random() < 0.6 else np.full(3, rng.uniform(150, 235))
    colors = palette(_paint(rng, style), second, style.lamps_lit and moving, moving and rng.random() < 0.35)
    mesh = model.mesh.placed(x, z, heading_deg + rng.normal(0, 1.0))
    width, height, length = model.size_m
    across = abs(np.sin(np.radians(heading_deg))) > 0.7
    half_x, half_z = (length / 2, width / 2) if across else (width / 2, length / 2)
    glowing = (HEAD_LIGHT, TAIL_LIGHT) if style.lamps_lit and moving else ()
    towards = np.cos(np.radians(heading_deg)) < -0.7
    away = np.cos(np.radians(heading_deg)) > 0.7

    def draw(canvas: Canvas) -> None:
        canvas.mesh(mesh, colors, glowing)
        if glowing and (towards or away):
            color = (190.0, 180.0, 150.0) if towards else (120.0, 18.0, 14.0)
            for offset in (-0.32, 0.32):
                point = np.array([x + offset * width, 0.75, z - half_z])
                canvas.glow(point, 1.1 if towards else 0.6, color)

    return Drawable(x - half_x, x + half_x, z - half_z, z + half_z, height, "vehicle", draw)


def figure(
    rng: np.random.Generator,
    options: Sequence[Figure],
    x: float,
    z: float,
    scale: tuple[float, float] = (0.9, 1.05),
) -> Drawable:
    """A person, a rider or a parked two-wheeler."""
    chosen = options[int(rng.integers(len(options)))]
    size = rng.uniform(*scale)
    width, height = chosen.size_m[0] * size, chosen.size_m[1] * size
    tone, mirrored = rng.uniform(0.88, 1.1), bool(rng.random() < 0.5)

    def draw(canvas: Canvas) -> None:
        gain = canvas.light.upright_gain() * tone
        canvas.sprite(chosen.texture, (x, 0.0, z), (width, height), gain, mirrored)

    half = min(width, 1.0) * 0.28
    return Drawable(x - half, x + half, z - 0.15, z + 0.15, height * 0.95, "box", draw)


class Occupancy:
    """Keeps solid things from standing inside one another."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, float, float, float]] = []

    def place(self, thing: Drawable, margin: float = 0.3) -> bool:
        """Reserve a thing's box; False when it is taken."""
        for x0, x1, z0, z1 in self.taken:
            if (
                x0 - margin < thing.x1
                and x1 + margin > thing.x0
                and z0 - margin < thing.z1
                and z1 + margin > thing.z0
            ):
                return False
        self.taken.append((thing.x0, thing.x1, thing.z0, thing.z1))
        return True


def _lane_traffic(
    rng: np.random.Generator, pool: Pool, style: Style, street: Street, lane: Lane, camera_x: float
) -> list[Drawable]:
    things: list[Drawable] = []
    heading = 0.0 if lane.direction > 0 else 180.0
    if lane.tram:
        if rng.random() < 0.55:
            model = tram(int(rng.integers(2, 4)))
            z = rng.uniform(10, 50) + model.size_m[2] / 2
            things.append(vehicle(rng, style, model, lane.x_m, z, heading, True))
        return things
    mine = abs(lane.x_m - camera_x) < 1.8
    z = rng.uniform(7.0, 26.0) if mine else rng.uniform(1.0, 18.0)
    while z < 95:
        if rng.random() < 0.5 * style.traffic:
            kind = rng.random()
            if kind < 0.07:
                model = bus(str(rng.choice(["single", "double"], p=[0.75, 0.25])))
            elif kind < 0.16:
                model = truck(str(rng.choice(["box", "flatbed", "dumper"])))
            else:
                model = _random_car(rng)
            if kind > 0.9:
                riders = pool.motorcyclists if rng.random() < 0.6 else pool.cyclists
                things.append(figure(rng, riders, lane.x_m + rng.uniform(-0.8, 0.8), z + 1.0))
            else:
                center = z + model.size_m[2] / 2
                things.append(
                    vehicle(rng, style, model, lane.x_m + rng.normal(0, 0.15), center, heading, True)
                )
            z += model.size_m[2]
        z += rng.uniform(2.5, 16.0)
    return things


def _parked(rng: np.random.Generator, pool: Pool, style: Style, street: Street, side: Side) -> list[Drawable]:
    things: list[Drawable] = []
    heading = 0.0 if side.sign == street.own_sign else 180.0
    z = rng.uniform(-3.0, 8.0)
    x = side.sign * (side.curb_m - 1.12)
    while z < 80:
        model = truck("box") if rng.random() < 0.04 else _random_car(rng)
        center = z + model.size_m[2] / 2
        free = not street.in_junction(center, 7.0) and not any(
            abs(center - k - 1.5) < 5 for k in street.zebras
        )
        if free and rng.random() < 0.72:
            turned = heading if rng.random() < 0.85 else 180.0 - heading
            things.append(vehicle(rng, style, model, x + rng.normal(0, 0.06), center, turned, False))
        elif free and rng.random() < 0.35:
            for k in range(int(rng.integers(1, 4))):
                things.append(figure(rng, pool.motorcycles, x + 0.2 * side.sign, z + 0.8 + 1.1 * k))
        z += model.size_m[2] + rng.uniform(0.7, 2.2)
    return things


def _crossing_traffic(rng: np.random.Generator, style: Style, street: Street) -> list[Drawable]:
    things: list[Drawable] = []
    for z0, z1 in street.junctions:
        for share, heading in ((0.28, 90.0), (0.72, -90.0)):
            if rng.random() < 0.4 * style.traffic:
                model = bus("single") if rng.random() < 0.08 else _random_car(rng)
                x = rng.uniform(-16, 16)
                z = z0 + (z1 - z0) * share
                things.append(vehicle(rng, style, model, x, z, heading, True))
    return things


def traffic(
    rng: np.random.Generator, pool: Pool, style: Style, street: Street, camera_x: float, used: Occupancy
) -> list[Drawable]:
    """All vehicles and the riders among them."""
    candidates: list[Drawable] = []
    for lane in street.lanes:
        candidates += _lane_traffic(rng, pool, style, street, lane, camera_x)
    for side in street.sides:
        if side.parking:
            candidates += _parked(rng, pool, style, street, side)
        for _ in range(int(rng.poisson(0.55 * style.traffic))):
            x = side.sign * (side.curb_m - (PARKING_CLEAR_M if side.parking else rng.uniform(0.6, 1.1)))
            candidates.append(figure(rng, pool.cyclists, x, rng.uniform(5, 34)))
    candidates += _crossing_traffic(rng, style, street)
    return [
        thing
        for thing in candidates
        if not (thing.x0 - 1.0 < camera_x < thing.x1 + 1.0 and thing.z0 < 5.0) and used.place(thing)
    ]


PARKING_CLEAR_M = 2.8


def people(
    rng: np.random.Generator, pool: Pool, style: Style, street: Street, camera_x: float, used: Occupancy
) -> list[Drawable]:
    """Pedestrians alone and in groups, and parked two-wheelers beside them."""
    candidates: list[Drawable] = []
    for side in street.sides:
        inner, outer = side.curb_m + side.verge_m + 0.4, side.edge_m - 0.3
        for _ in range(int(rng.poisson(3.6 * style.people))):
            x, z = side.sign * rng.uniform(inner, max(outer, inner + 0.1)), 3.0 + 45.0 * rng.random() ** 1.4
            candidates.append(figure(rng, pool.pedestrians, x, z))
            if rng.random() < 0.35:
                for _ in range(int(rng.integers(1, 4))):
                    beside = figure(
                        rng, pool.pedestrians, x + rng.uniform(-0.9, 0.9), z + rng.uniform(-0.7, 0.9)
                    )
                    candidates.append(beside)
        if rng.random() < 0.38:
            z, x = rng.uniform(4, 28), side.sign * rng.choice([inner, max(outer, inner + 0.2)])
            options = pool.bicycles if rng.random() < 0.7 else pool.motorcycles
            for k in range(int(rng.integers(1, 6))):
                candidates.append(
                    figure(rng, options, x + rng.normal(0, 0.08), z + k * rng.uniform(0.7, 1.0))
                )
    for z in street.zebras:
        for _ in range(int(rng.poisson(1.3 * style.people))):
            x = rng.uniform(-street.left.curb_m, street.right.curb_m)
            candidates.append(figure(rng, pool.pedestrians, x, z + rng.uniform(0.4, 2.6)))
    for _ in range(int(rng.poisson(0.35 * style.people))):
        x = rng.uniform(-street.left.curb_m, street.right.curb_m)
        candidates.append(figure(rng, pool.pedestrians, x, rng.uniform(9, 40)))
    return [
        thing
        for thing in candidates
        if not (abs((thing.x0 + thing.x1) / 2 - camera_x) < 0.8 and thing.z0 < 4.0)
        and used.place(thing, 0.05)
    ]
