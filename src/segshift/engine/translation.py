"""Translation (being written)."""

from pathlib import Path
from typing import Any

from rich.console import Console

from segshift.engine.recipe import Recipe


def run_translate_stage(
    recipe: Recipe, settings: dict[str, Any], folder: Path, console: Console, where: str
) -> None:
    """Being written."""
