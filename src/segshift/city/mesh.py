"""Meshes of flat faces: vehicles, poles, signs and other things with corners are made of these."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from segshift.city.camera import Array

Face = Sequence[tuple[float, float, float]]


@dataclass(frozen=True)
class Mesh:
    """Faces in the order in which they are painted.

    vertices_m: (V, 3). faces: indices of each face's vertices, counter-clockwise seen from outside (in a
    frame with X right, Y up and Z away from the viewer). materials, labels, shades, sizes_m, anchors: (F,),
    the row in the palette, the class, a factor on the color, the face's smaller extent and one of its
    vertices. normals: (F, 3) unit, outward.
    """

    vertices_m: Array
    faces: tuple[npt.NDArray[np.intp], ...]
    materials: npt.NDArray[np.intp]
    labels: npt.NDArray[np.uint8]
    shades: Array
    sizes_m: Array
    anchors: npt.NDArray[np.intp]
    normals: Array

    def placed(self, x_m: float, z_m: float, heading_deg: float = 0.0, y_m: float = 0.0) -> Mesh:
        """The mesh turned about its vertical axis (clockwise seen from above) and moved to a place."""
        angle = math.radians(heading_deg)
        turn = np.array(
            [
                [math.cos(angle), 0.0, math.sin(angle)],
                [0.0, 1.0, 0.0],
                [-math.sin(angle), 0.0, math.cos(angle)],
            ]
        )
        moved = self.vertices_m @ turn.T + (x_m, y_m, z_m)
        normals = self.normals @ turn.T
        return Mesh(
            moved, self.faces, self.materials, self.labels, self.shades, self.sizes_m, self.anchors, normals
        )


@dataclass
class MeshBuilder:
    """Collects faces; an inside point orients each, so the order of its corners does not matter."""

    vertices: list[tuple[float, float, float]] = field(default_factory=list)
    faces: list[npt.NDArray[np.intp]] = field(default_factory=list)
    materials: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    shades: list[float] = field(default_factory=list)
    normals: list[tuple[float, float, float]] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)

    def face(
        self, corners: Face, material: int, label: int, inside: tuple[float, float, float], shade: float = 1.0
    ) -> None:
        """Add a flat polygon; inside is any point behind it."""
        # Plain numbers: roofs are built anew for every building, and arrays this small are slow.
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners[:3]
        ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        length = math.sqrt(nx * nx + ny * ny + nz * nz)
        if length < 1e-9:
            return
        columns = tuple(zip(*corners, strict=True))
        px, py, pz = (sum(column) / len(corners) for column in columns)
        outwards = nx * (px - inside[0]) + ny * (py - inside[1]) + nz * (pz - inside[2])
        length = -length if outwards < 0 else length
        start = len(self.vertices)
        self.vertices.extend((float(x), float(y), float(z)) for x, y, z in corners)
        self.faces.append(np.arange(start, start + len(corners)))
        self.materials.append(material)
        self.labels.append(label)
        self.shades.append(shade)
        self.normals.append((nx / length, ny / length, nz / length))
        self.sizes.append(sorted(max(column) - min(column) for column in columns)[1])

    def box(
        self,
        low: tuple[float, float, float],
        high: tuple[float, float, float],
        material: int,
        label: int,
        shade: float = 1.0,
        top_inset: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Add a box without its underside; top_inset narrows its top along X and Z, in metres."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        a, b = top_inset
        bottom = [(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)]
        top = [(x0 + a, y1, z0 + b), (x1 - a, y1, z0 + b), (x1 - a, y1, z1 - b), (x0 + a, y1, z1 - b)]
        middle = ((x0 + x1) / 2, (y0 + y1) / 2, (z0 + z1) / 2)
        for i in range(4):
            j = (i + 1) % 4
            self.face([bottom[i], bottom[j], top[j], top[i]], material, label, middle, shade)
        self.face(top, material, label, middle, shade)

    def prism(
        self,
        profile: Sequence[tuple[float, float]],
        half_width: float,
        material: int,
        label: int,
        shade: float = 1.0,
    ) -> None:
        """Add the solid of a convex side profile [(z, y), ...] between x = -half_width and half_width."""
        inside = (0.0, float(np.mean([y for _, y in profile])), float(np.mean([z for z, _ in profile])))
        for i in range(len(profile)):
            (za, ya), (zb, yb) = profile[i], profile[(i + 1) % len(profile)]
            strip = [(-half_width, ya, za), (half_width, ya, za), (half_width, yb, zb), (-half_width, yb, zb)]
            self.face(strip, material, label, inside, shade)
        for x in (-half_width, half_width):
            self.face([(x, y, z) for z, y in profile], material, label, inside, shade)

    def disc(
        self,
        center: tuple[float, float, float],
        radius: float,
        axis: str,
        material: int,
        label: int,
        inside: tuple[float, float, float],
        corners: int = 12,
        shade: float = 1.0,
    ) -> None:
        """Add a disc across the axis "x" or "z"."""
        x, y, z = center
        ring = [(math.cos(t), math.sin(t)) for t in np.linspace(0, 2 * math.pi, corners, endpoint=False)]
        if axis == "x":
            points = [(x, y + radius * s, z + radius * c) for c, s in ring]
        else:
            points = [(x + radius * c, y + radius * s, z) for c, s in ring]
        self.face(points, material, label, inside, shade)

    def build(self) -> Mesh:
        """The finished mesh."""
        anchors = np.array([face[0] for face in self.faces], dtype=np.intp)
        return Mesh(
            np.array(self.vertices, dtype=float),
            tuple(self.faces),
            np.array(self.materials, dtype=np.intp),
            np.array(self.labels, dtype=np.uint8),
            np.array(self.shades, dtype=float),
            np.array(self.sizes, dtype=float),
            anchors,
            np.array(self.normals),
        )
