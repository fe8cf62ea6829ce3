"""What all vehicles are made of, and the meshes of cars and vans."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from segshift.city.camera import Array
from segshift.city.classes import CAR
from segshift.city.mesh import Mesh, MeshBuilder

PAINT, GLASS, DARK, METAL, HEAD_LIGHT, TAIL_LIGHT, PLATE, TRIM, SECOND = range(9)


@dataclass(frozen=True)
class VehicleModel:
    """A mesh that stands on its middle and faces +Z, with its (width, height, length) in metres."""

    mesh: Mesh
    size_m: tuple[float, float, float]


def palette(paint: Array, second: Array, lamps_lit: bool, braking: bool) -> Array:
    """Colors (9, 3) of a vehicle's materials."""
    head = (255.0, 246.0, 215.0) if lamps_lit else (214.0, 218.0, 220.0)
    tail = (255.0, 44.0, 36.0) if lamps_lit or braking else (150.0, 24.0, 26.0)
    return np.array(
        [
            paint,
            (38.0, 44.0, 52.0),
            (24.0, 24.0, 26.0),
            (150.0, 152.0, 156.0),
            head,
            tail,
            (226.0, 222.0, 190.0),
            (60.0, 62.0, 66.0),
            second,
        ]
    )


def wheels(
    mesh: MeshBuilder, half_width: float, places: tuple[float, ...], radius: float, label: int
) -> None:
    """Add wheels at both sides, at the given z, and the tyres seen below the bumpers."""
    for side in (-1, 1):
        for z in places:
            x = side * (half_width + 0.01)
            inside = (0.0, radius, z)
            mesh.disc((x, radius, z), radius, "x", DARK, label, inside)
            mesh.disc((x + side * 0.01, radius, z), radius * 0.58, "x", METAL, label, inside, corners=8)
            mesh.disc((x + side * 0.02, radius, z), radius * 0.2, "x", DARK, label, inside, corners=6)
    # Tyres seen below the bumpers.
    for z, end in ((places[0], -1), (places[-1], 1)):
        for side in (-1, 1):
            a, b = side * half_width * 0.95, side * (half_width * 0.95 - 0.2)
            zz = z + end * radius * 0.9
            mesh.face([(a, 0, zz), (b, 0, zz), (b, radius, zz), (a, radius, zz)], DARK, label, (0, radius, z))


def lamps(
    mesh: MeshBuilder, half_width: float, length: float, y: float, label: int, tall: float, wide: float
) -> None:
    """Add head lights at the front, tail lights at the back, and number plates; y is their lower edge."""
    inside = (0.0, y, 0.0)
    for z, material in ((length / 2 + 0.015, HEAD_LIGHT), (-length / 2 - 0.015, TAIL_LIGHT)):
        for side in (-1, 1):
            a, b = side * (half_width - 0.06), side * (half_width - 0.06 - wide)
            mesh.face([(a, y, z), (b, y, z), (b, y + tall, z), (a, y + tall, z)], material, label, inside)
    for z in (length / 2 + 0.02, -length / 2 - 0.02):
        mesh.face(
            [(-0.26, y - 0.22, z), (0.26, y - 0.22, z), (0.26, y - 0.1, z), (-0.26, y - 0.1, z)],
            PLATE,
            label,
            inside,
        )


def panes(
    mesh: MeshBuilder,
    z0: float,
    z1: float,
    y0: float,
    y1: float,
    half_width: float,
    count: int,
    label: int,
    lean: float = 0.0,
    material: int = GLASS,
) -> None:
    """A row of side windows on both sides; lean draws their tops inwards."""
    step = (z1 - z0) / count
    for side in (-1, 1):
        low, high = side * (half_width + 0.012), side * (half_width + 0.012 - lean)
        for k in range(count):
            a, b = z0 + k * step + 0.05, z0 + (k + 1) * step - 0.05
            mesh.face(
                [(low, y0, a), (low, y0, b), (high, y1, b), (high, y1, a)],
                material,
                label,
                (0.0, y0, (a + b) / 2),
            )


@cache
def car(kind: str) -> VehicleModel:
    """A car: saloon, hatchback, estate, suv or van.

    Long, as a list of parts with their measures is.
    """
    length, width, height, belt, hood, nose, tail, front, back = {
        "saloon": (4.6, 1.8, 1.44, 0.92, 0.84, 1.05, -1.55, 0.15, -1.0),
        "hatchback": (4.0, 1.74, 1.5, 0.94, 0.86, 1.0, -1.97, 0.2, -1.45),
        "estate": (4.7, 1.8, 1.5, 0.93, 0.85, 1.1, -2.32, 0.2, -1.95),
        "suv": (4.6, 1.9, 1.72, 1.06, 1.0, 1.15, -2.27, 0.4, -1.85),
        "van": (5.2, 1.98, 2.3, 1.12, 1.02, 1.75, -2.58, 1.05, -2.54),
    }[kind]
    half, w = length / 2, width / 2
    mesh = MeshBuilder()
    rear_deck = belt if kind == "saloon" else belt + 0.02
    body = [
        (half - 0.06, 0.28),
        (half, 0.62),
        (half - 0.16, hood - 0.1),
        (nose, belt),
        (tail, rear_deck),
        (-half + 0.03, rear_deck - 0.08),
        (-half, 0.6),
        (-half + 0.05, 0.28),
    ]
    mesh.prism(body, w, PAINT, CAR)
    for z in (half + 0.005, -half - 0.005):
        mesh.face([(-w, 0.26, z), (w, 0.26, z), (w, 0.5, z), (-w, 0.5, z)], TRIM, CAR, (0, 0.4, 0), 0.8)
    for side in (-1, 1):
        x = side * (w + 0.006)
        mesh.face(
            [(x, 0.24, half - 0.1), (x, 0.24, -half + 0.1), (x, 0.4, -half + 0.1), (x, 0.4, half - 0.1)],
            DARK,
            CAR,
            (0, 0.4, 0),
        )
        for z in (0.85, -0.25):
            mesh.face(
                [(x, 0.42, z), (x, 0.42, z + 0.03), (x, belt, z + 0.03), (x, belt, z)], TRIM, CAR, (0, 0.5, z)
            )
    lean = 0.05 if kind == "van" else 0.17
    wheel = 0.31 if kind in ("saloon", "hatchback", "estate") else 0.36
    wheels(mesh, w, (-half + 0.85, half - 0.85), wheel, CAR)
    # The cabin narrows towards its roof: a frustum between the belt line and the roof.
    low = [(-w + 0.03, belt, nose), (w - 0.03, belt, nose), (w - 0.03, belt, tail), (-w + 0.03, belt, tail)]
    top = [
        (-w + lean, height, front),
        (w - lean, height, front),
        (w - lean, height, back),
        (-w + lean, height, back),
    ]
    middle = (0.0, belt, (nose + tail) / 2)
    for i in range(4):
        j = (i + 1) % 4
        mesh.face([low[i], low[j], top[j], top[i]], PAINT, CAR, middle)
    mesh.face(top, PAINT, CAR, middle, 1.04)

    def inset(a: int, b: int, lower: float, upper: float, edge: float) -> None:
        quad = np.array([low[a], low[b], top[b], top[a]])
        left, right = quad[3] - quad[0], quad[2] - quad[1]
        corners = np.array(
            [quad[0] + left * lower, quad[1] + right * lower, quad[1] + right * upper, quad[0] + left * upper]
        )
        shift = (corners[1] - corners[0]) * edge
        shift_top = (corners[2] - corners[3]) * edge
        corners += np.array([shift, -shift, -shift_top, shift_top])
        outwards = corners.mean(0) - (0.0, belt, (nose + tail) / 2)
        corners = corners + 0.012 * outwards / np.linalg.norm(outwards)
        mesh.face([(x, y, z) for x, y, z in corners.tolist()], GLASS, CAR, middle, 1.25)

    inset(0, 1, 0.06, 0.94, 0.05)
    if kind != "van":
        inset(2, 3, 0.12, 0.9, 0.07)
    glazed_to = 0.55 if kind == "van" else tail + 0.25 * (1 if kind != "saloon" else 1.6)
    for side in (-1, 1):
        a, b = side * (w - 0.02), side * (w - lean + 0.005)
        splits = ((nose - 0.35, -0.25), (-0.33, glazed_to)) if kind != "van" else ((nose - 0.3, glazed_to),)
        for z0, z1 in splits:
            y0, y1 = belt + 0.05, (height - 0.1 if kind != "van" else 1.75)
            share = (y1 - belt) / (height - belt)
            reach = min(z0, nose + (front - nose) * share - 0.08)
            end = max(z1, tail + (back - tail) * share + 0.1)
            x1 = a + (b - a) * share
            mesh.face([(a, y0, z0), (a, y0, z1), (x1, y1, end), (x1, y1, reach)], GLASS, CAR, middle, 1.1)
    if kind == "van":
        mesh.face(
            [
                (-0.02, 0.5, -half - 0.01),
                (0.02, 0.5, -half - 0.01),
                (0.02, 2.1, -half + 0.03),
                (-0.02, 2.1, -half + 0.03),
            ],
            TRIM,
            CAR,
            middle,
        )
    lamps(mesh, w, length, 0.64, CAR, 0.15 if kind != "van" else 0.24, 0.36 if kind != "van" else 0.2)
    mesh.face(
        [
            (-0.5, 0.52, half + 0.012),
            (0.5, 0.52, half + 0.012),
            (0.46, 0.68, half + 0.012),
            (-0.46, 0.68, half + 0.012),
        ],
        DARK,
        CAR,
        (0, 0.5, 0),
    )
    return VehicleModel(mesh.build(), (width, height, length))
