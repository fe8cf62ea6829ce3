"""The textures that a style's images share: made once per process, and from the style alone."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from segshift.city.canvas import Bytes, Texture
from segshift.city.classes import FENCE, WALL
from segshift.city.facades import Facade, make_barrier, make_facade
from segshift.city.noise import spectral_noise, to_bytes
from segshift.city.people import Figure, pedestrian
from segshift.city.riders import cyclist, motorcyclist, parked_bicycle, parked_motorcycle
from segshift.city.styles import Style
from segshift.city.trees import bush, hedge, leafless_tree, leafy_tree


@dataclass(frozen=True)
class Pool:
    """Textures of one style. asphalt, grass, paving: (512, 512) gains, 128 = 1. clouds: (256, 512) uint8
    density.

    noise: (1048576,) normal deviates, the sensor's grain."""

    facades: tuple[Facade, ...]
    leafy: tuple[Texture, ...]
    leafless: tuple[Texture, ...]
    bushes: tuple[Texture, ...]
    hedges: tuple[Texture, ...]
    walls: tuple[Texture, ...]
    fences: tuple[Texture, ...]
    pedestrians: tuple[Figure, ...]
    cyclists: tuple[Figure, ...]
    motorcyclists: tuple[Figure, ...]
    bicycles: tuple[Figure, ...]
    motorcycles: tuple[Figure, ...]
    asphalt: Bytes
    patches: Bytes
    grass: Bytes
    paving: tuple[Bytes, ...]
    clouds: tuple[Bytes, ...]
    noise: npt.NDArray[np.float32]


def style_key(style: Style) -> int:
    """A number that depends on a style's name only, the same in every process."""
    return zlib.crc32(style.name.encode())


@lru_cache(maxsize=8)
def pool_of(style: Style) -> Pool:
    """The textures of a style."""
    rng = np.random.default_rng(np.random.SeedSequence([style_key(style), 0x900D]))
    wall_kinds, fence_kinds = (
        ("brick", "concrete", "stone"),
        ("railing", "mesh", "planks", "guardrail", "railing"),
    )
    return Pool(
        facades=tuple(make_facade(rng, style) for _ in range(40)),
        leafy=tuple(leafy_tree(rng, style) for _ in range(24)),
        leafless=tuple(leafless_tree(rng) for _ in range(16)),
        bushes=tuple(bush(rng, style) for _ in range(6)),
        hedges=tuple(hedge(rng, style) for _ in range(6)),
        walls=tuple(make_barrier(rng, wall_kinds[k % 3], WALL) for k in range(9)),
        fences=tuple(make_barrier(rng, fence_kinds[k % 5], FENCE) for k in range(15)),
        pedestrians=tuple(pedestrian(rng, style) for _ in range(48)),
        cyclists=tuple(cyclist(rng, style) for _ in range(16)),
        motorcyclists=tuple(motorcyclist(rng, style) for _ in range(12)),
        bicycles=tuple(parked_bicycle(rng) for _ in range(8)),
        motorcycles=tuple(parked_motorcycle(rng) for _ in range(8)),
        asphalt=to_bytes(128 + 9 * spectral_noise(rng, 512, 512, 0.5)),
        patches=to_bytes(128 + 11 * spectral_noise(rng, 512, 512, 1.5)),
        grass=to_bytes(128 + 26 * spectral_noise(rng, 512, 512, 0.7)),
        paving=tuple(_paving(rng, slab) for slab in (24, 40, 64)),
        clouds=tuple(_clouds(rng) for _ in range(6)),
        noise=rng.standard_normal(1 << 20, dtype=np.float32),
    )


def _paving(rng: np.random.Generator, slab: int) -> Bytes:
    """Slabs with joints; 512 px are 8 m."""
    cells = -(-512 // slab)
    rows = np.arange(512) // slab
    tone = rng.normal(0, 7, (cells, cells))[rows[:, None], rows[None]]
    field = 128 + tone + 6 * spectral_noise(rng, 512, 512, 0.6)
    joint = np.arange(512) % slab < 2
    field[joint] -= 26
    field[:, joint] -= 26
    return to_bytes(field)


def _clouds(rng: np.random.Generator) -> Bytes:
    return to_bytes(128 + 58 * spectral_noise(rng, 256, 512, 1.55))
