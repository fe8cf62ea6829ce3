"""The procedural city: seeded, labelled street scenes in styles that differ as real domains do."""

from typing import TYPE_CHECKING, Any

from segshift.extras import module_of_extra

if TYPE_CHECKING:
    from segshift.city.dataset import RENDERER_VERSION, cached_dataset, synthesize
    from segshift.city.scene import Scene, find_style, render
    from segshift.city.styles import STYLES, Style

# The names of the styles are listed without loading OpenCV, which paints them.
_HOMES = {
    "RENDERER_VERSION": "dataset",
    "STYLES": "styles",
    "Scene": "scene",
    "Style": "styles",
    "cached_dataset": "dataset",
    "find_style": "scene",
    "render": "scene",
    "synthesize": "dataset",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'segshift.city' has no attribute {name!r}")
    return getattr(module_of_extra(f"segshift.city.{_HOMES[name]}"), name)
