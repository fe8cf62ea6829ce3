"""The plan of a street: how wide it is, what lies beside it, where it is crossed, and where the lanes run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segshift.city.canvas import Canvas
from segshift.city.styles import Style

PARKING_M = 2.3
VISIBLE_M = 130.0


@dataclass(frozen=True)
class Drawable:
    """Something that stands on the ground, in the box x0..x1, z0..z1 (m), and knows how to paint itself.

    shadow: "none", "box", "vehicle" (also dark underneath) or "crown" (dappled). height_m: of what casts it.
    """

    x0: float
    x1: float
    z0: float
    z1: float
    height_m: float
    shadow: str
    draw: Callable[[Canvas], None]


@dataclass(frozen=True)
class Side:
    """One side of a street. sign: -1 left, 1 right. curb_m: distance of the curb from the middle of the road.

    From the curb outwards follow verge_m of grass, sidewalk_m, setback_m and then the facades; open: there
    are none.
    """

    sign: int
    curb_m: float
    verge_m: float
    sidewalk_m: float
    setback_m: float
    open: bool
    parking: bool
    paved_yard: bool

    @property
    def edge_m(self) -> float:
        """Distance of the sidewalk's outer edge from the middle of the road."""
        return self.curb_m + self.verge_m + self.sidewalk_m

    @property
    def facade_m(self) -> float:
        """Distance of the facades from the middle of the road."""
        return self.edge_m + self.setback_m


@dataclass(frozen=True)
class Lane:
    """A lane: its middle, and whether its traffic moves away from the camera (1) or towards it (-1)."""

    x_m: float
    direction: int
    tram: bool = False


@dataclass(frozen=True)
class Street:
    """A straight street along Z. junctions: (z0, z1) where another street crosses. zebras: z of crossings.

    own_sign: the side on which the camera's traffic drives, 1 right, -1 left.
    """

    left: Side
    right: Side
    lanes: tuple[Lane, ...]
    lane_m: float
    median_m: float
    junctions: tuple[tuple[float, float], ...]
    zebras: tuple[float, ...]
    own_sign: int

    @property
    def sides(self) -> tuple[Side, Side]:
        """Left and right."""
        return self.left, self.right

    def in_junction(self, z_m: float, margin_m: float = 0.0) -> bool:
        """Whether another street crosses at z."""
        return any(a - margin_m < z_m < b + margin_m for a, b in self.junctions)


def plan_street(rng: np.random.Generator, style: Style) -> Street:
    """Draw a random street in a style's manner."""
    lane = rng.uniform(*style.lane_width_m)
    count = int(rng.integers(style.lanes[0], style.lanes[1] + 1))
    own = -1 if rng.random() < style.left_hand_share else 1
    tram = rng.random() < 0.2
    median = rng.uniform(1.2, 3.0) if count > 1 and not tram and rng.random() < 0.35 else 0.0
    inner = median / 2 + (lane if tram else 0.0)
    lanes = [
        Lane(sign * own * (inner + (k + 0.5) * lane), 1 if sign > 0 else -1)
        for sign in (1, -1)
        for k in range(count)
    ]
    if tram:
        lanes += [Lane(own * lane / 2, 1, True), Lane(-own * lane / 2, -1, True)]

    def side(sign: int) -> Side:
        parking = rng.random() < min(0.55 * style.parking, 0.8)
        is_open = rng.random() < style.open_share
        return Side(
            sign=sign,
            curb_m=inner + count * lane + (PARKING_M if parking else 0.25),
            verge_m=rng.uniform(0.8, 2.2) if rng.random() < style.verge_share else 0.0,
            sidewalk_m=rng.uniform(*style.sidewalk_width_m),
            setback_m=rng.uniform(14.0, 40.0) if is_open else rng.uniform(*style.setback_m),
            open=is_open,
            parking=parking,
            paved_yard=not is_open and rng.random() < 0.5,
        )

    left, right = side(-1), side(1)
    junctions: list[tuple[float, float]] = []
    z = rng.uniform(10.0, 60.0)
    while z < 110:
        width = rng.uniform(6.5, 13.0)
        if rng.random() < 0.6:
            junctions.append((z, z + width))
        z += width + rng.uniform(35.0, 70.0)
    zebras = [a - 4.2 for a, _ in junctions if rng.random() < 0.55]
    if rng.random() < 0.15:
        zebras.append(rng.uniform(8.0, 30.0))
    clear = tuple(z for z in zebras if not any(a - 4.5 < z < b + 0.5 for a, b in junctions if z > a - 4.0))
    return Street(left, right, tuple(lanes), lane, median, tuple(junctions), clear, own)


def painting_order(things: list[Drawable], camera_x_m: float) -> list[Drawable]:
    """Sort boxes from back to front as seen from (camera_x_m, z = 0).

    Of two boxes that a plane separates, the one on the camera's side is painted later; this is exact for
    upright boxes that do not overlap, where sorting by distance is wrong for long things side by side.
    """
    if not things:
        return []
    x0, x1, z0, z1 = (np.array([getattr(thing, key) for thing in things]) for key in ("x0", "x1", "z0", "z1"))
    margin = 0.02
    beyond = z0[:, None] >= z1[None] - margin
    beyond &= ~beyond.T | (z0[:, None] > z0[None])
    undecided = ~(beyond | beyond.T)
    outside = (x0[:, None] >= x1[None] - margin) & (camera_x_m <= x0)[:, None]
    outside |= (x1[:, None] <= x0[None] + margin) & (camera_x_m >= x1)[:, None]
    outside &= undecided & ~outside.T
    undecided &= ~(outside | outside.T)
    middle = (z0 + z1) / 2
    before = beyond | outside | (undecided & (middle[:, None] > middle[None]))
    waiting = before.sum(0)
    far = middle.copy()
    ordered: list[Drawable] = []
    for _ in things:
        ready = np.where(waiting <= 0, far, -np.inf)
        # A cycle is possible only among boxes that overlap; the farthest one then goes first.
        index = int(np.argmax(ready)) if np.isfinite(ready).any() else int(np.argmax(far))
        ordered.append(things[index])
        waiting = waiting - before[index]
        waiting[index] = len(things) + 1
        far[index] = -np.inf
    return ordered
