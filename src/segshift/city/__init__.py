"""The procedural city: seeded, labelled street scenes in styles that differ as real domains do."""

from segshift.city.scene import Scene, find_style, render
from segshift.city.styles import STYLES, Style
from segshift.city.synthesize import RENDERER_VERSION, cached_dataset, synthesize

__all__ = [
    "RENDERER_VERSION",
    "STYLES",
    "Scene",
    "Style",
    "cached_dataset",
    "find_style",
    "render",
    "synthesize",
]
