"""The procedural city: seeded, labelled street scenes in styles that differ as real domains do."""

from segshift.data.city.scene import Scene, find_style, render
from segshift.data.city.styles import STYLES, Style
from segshift.data.city.synthesize import RENDERER_VERSION, cached_dataset, synthesize

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
