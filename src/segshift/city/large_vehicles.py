"""Meshes of lorries, buses and trams."""

from __future__ import annotations

from functools import cache

from segshift.city.classes import BUS, TRAIN, TRUCK
from segshift.city.mesh import MeshBuilder
from segshift.city.vehicles import (
    DARK,
    GLASS,
    METAL,
    PAINT,
    PLATE,
    SECOND,
    TRIM,
    VehicleModel,
    lamps,
    panes,
    wheels,
)


@cache
def truck(kind: str) -> VehicleModel:
    """A lorry: box (with a closed body), flatbed (with a load) or tanker-like dumper.

    Long, as a list of parts is.
    """
    length, width, height = {"box": (8.0, 2.4, 3.5), "flatbed": (7.4, 2.4, 2.9), "dumper": (7.0, 2.5, 3.1)}[
        kind
    ]
    half, w = length / 2, width / 2
    mesh = MeshBuilder()
    mesh.box((-w + 0.1, 0.45, -half), (w - 0.1, 0.9, half - 0.1), DARK, TRUCK)
    wheels(mesh, w - 0.02, (-half + 1.0, -half + 2.1, half - 1.0), 0.48, TRUCK)
    back_of_cab = half - 2.0
    if kind == "box":
        mesh.box((-w, 0.95, -half), (w, height, back_of_cab - 0.15), SECOND, TRUCK)
        for side in (-1, 1):
            x = side * (w + 0.01)
            mesh.face(
                [
                    (x, 1.7, -half + 1),
                    (x, 1.7, back_of_cab - 1.2),
                    (x, 2.6, back_of_cab - 1.2),
                    (x, 2.6, -half + 1),
                ],
                PAINT,
                TRUCK,
                (0, 2, 0),
            )
        mesh.face(
            [
                (-0.02, 1.0, -half - 0.01),
                (0.02, 1.0, -half - 0.01),
                (0.02, height - 0.1, -half - 0.01),
                (-0.02, height - 0.1, -half - 0.01),
            ],
            TRIM,
            TRUCK,
            (0, 2, 0),
        )
    elif kind == "flatbed":
        mesh.box((-w, 0.95, -half), (w, 1.45, back_of_cab - 0.15), SECOND, TRUCK)
        mesh.box(
            (-w + 0.2, 1.45, -half + 0.8), (w - 0.2, 2.3, back_of_cab - 1.0), METAL, TRUCK, 0.8, (0.1, 0.2)
        )
    else:
        mesh.box((-w, 0.95, -half), (w, 2.3, back_of_cab - 0.15), SECOND, TRUCK, 1.0, (-0.1, -0.15))
        for k in range(4):
            z = -half + 0.5 + k * 1.1
            for side in (-1, 1):
                x = side * (w + 0.05)
                mesh.face(
                    [(x, 1.0, z), (x, 1.0, z + 0.12), (x, 2.2, z + 0.12), (x, 2.2, z)],
                    TRIM,
                    TRUCK,
                    (0, 1.5, z),
                )
    mesh.box((-w + 0.05, 0.55, back_of_cab), (w - 0.05, 1.55, half), PAINT, TRUCK)
    mesh.box((-w + 0.05, 1.55, back_of_cab), (w - 0.05, 2.75, half), PAINT, TRUCK, 1.0, (0.08, 0.12))
    z = half + 0.02
    mesh.face(
        [
            (-w + 0.2, 1.62, z - 0.01),
            (w - 0.2, 1.62, z - 0.01),
            (w - 0.28, 2.5, z - 0.1),
            (-w + 0.28, 2.5, z - 0.1),
        ],
        GLASS,
        TRUCK,
        (0, 2, 0),
        1.2,
    )
    mesh.face([(-0.7, 0.8, z), (0.7, 0.8, z), (0.7, 1.4, z), (-0.7, 1.4, z)], TRIM, TRUCK, (0, 1, 0))
    panes(mesh, back_of_cab + 0.6, half - 0.25, 1.62, 2.4, w - 0.05, 1, TRUCK, 0.06)
    lamps(mesh, w, length, 0.72, TRUCK, 0.2, 0.3)
    return VehicleModel(mesh.build(), (width, height, length))


@cache
def bus(kind: str) -> VehicleModel:
    """A bus: single or double decked."""
    length, width, height = (11.5, 2.5, 3.05) if kind == "single" else (10.5, 2.5, 4.3)
    half, w = length / 2, width / 2
    mesh = MeshBuilder()
    mesh.box((-w, 0.32, -half), (w, height, half), PAINT, BUS, 1.0, (0.06, 0.08))
    for side in (-1, 1):
        x = side * (w + 0.008)
        mesh.face(
            [(x, 0.34, -half), (x, 0.34, half), (x, 0.85, half), (x, 0.85, -half)], SECOND, BUS, (0, 0.5, 0)
        )
    decks = ((1.35, 2.5),) if kind == "single" else ((1.3, 2.1), (2.75, 3.7))
    for y0, y1 in decks:
        panes(mesh, -half + 0.4, half - 0.3, y0, y1, w, 7, BUS, 0.03)
        for z, shrink in ((half + 0.01, 0.12), (-half - 0.01, 0.3)):
            low, high = (y0 - 0.25, y1 + 0.1) if z > 0 else (y0 + 0.1, y1)
            mesh.face(
                [(-w + shrink, low, z), (w - shrink, low, z), (w - shrink, high, z), (-w + shrink, high, z)],
                GLASS,
                BUS,
                (0, 1, 0),
                1.15,
            )
    for side in (-1, 1):
        x = side * (w + 0.02)
        for z in (half - 1.5, -0.7):
            mesh.face(
                [(x, 0.4, z), (x, 0.4, z + 1.2), (x, 2.3, z + 1.2), (x, 2.3, z)], DARK, BUS, (0, 1, z), 1.5
            )
    for z in (half + 0.02, -half - 0.02):
        mesh.face(
            [
                (-0.8, height - 0.42, z - 0.05 * (z > 0)),
                (0.8, height - 0.42, z - 0.05 * (z > 0)),
                (0.8, height - 0.14, z - 0.05 * (z > 0)),
                (-0.8, height - 0.14, z - 0.05 * (z > 0)),
            ],
            DARK,
            BUS,
            (0, 1, 0),
        )
        mesh.face(
            [
                (-0.6, height - 0.34, z),
                (0.5, height - 0.34, z),
                (0.5, height - 0.22, z),
                (-0.6, height - 0.22, z),
            ],
            PLATE,
            BUS,
            (0, 1, 0),
        )
        mesh.face([(-w, 0.33, z), (w, 0.33, z), (w, 0.62, z), (-w, 0.62, z)], TRIM, BUS, (0, 1, 0))
    wheels(mesh, w, (-half + 2.6, half - 2.6), 0.48, BUS)
    lamps(mesh, w, length + 0.05, 0.74, BUS, 0.2, 0.34)
    return VehicleModel(mesh.build(), (width, height, length))


@cache
def tram(sections: int) -> VehicleModel:
    """A low-floor tram of several sections with a pantograph."""
    length, width, height = 8.5 * sections, 2.5, 3.4
    half, w = length / 2, width / 2
    mesh = MeshBuilder()
    for k in range(sections):
        z0, z1 = -half + k * 8.5, -half + (k + 1) * 8.5
        low, high = z0 + (0.25 if k else 0.0), z1 - (0.25 if k < sections - 1 else 0.0)
        mesh.box((-w + 0.25, 0.5, low - 0.3), (w - 0.25, height - 0.3, high + 0.3), DARK, TRAIN)
        mesh.box((-w, 0.22, low), (w, height, high), PAINT, TRAIN, 1.0, (0.1, 0.25))
        for side in (-1, 1):
            x = side * (w + 0.008)
            mesh.face(
                [(x, 0.24, low), (x, 0.24, high), (x, 1.0, high), (x, 1.0, low)], SECOND, TRAIN, (0, 0.5, 0)
            )
        panes(mesh, low + 0.3, high - 0.3, 1.25, 2.6, w, 5, TRAIN, 0.06)
        mesh.box((-0.8, height, low + 2), (0.8, height + 0.3, high - 2), METAL, TRAIN, 0.9, (0.1, 0.1))
    for z in (half + 0.01, -half - 0.01):
        end = 1 if z > 0 else -1
        top = z - end * 0.2
        mesh.face(
            [(-w + 0.12, 1.15, z), (w - 0.12, 1.15, z), (w - 0.2, 2.75, top), (-w + 0.2, 2.75, top)],
            GLASS,
            TRAIN,
            (0, 1, 0),
            1.2,
        )
        mesh.face(
            [(-0.7, 2.85, top), (0.7, 2.85, top), (0.7, 3.15, top), (-0.7, 3.15, top)],
            PLATE,
            TRAIN,
            (0, 1, 0),
        )
        mesh.face([(-w, 0.24, z), (w, 0.24, z), (w, 0.6, z), (-w, 0.6, z)], TRIM, TRAIN, (0, 1, 0))
    lamps(mesh, w - 0.1, length + 0.04, 0.78, TRAIN, 0.2, 0.4)
    return VehicleModel(mesh.build(), (width, height, length))
