"""Packages whose names are imported when they are used: a light module in one loads no PyTorch then."""

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def on_demand(package: str, file: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package that imports its public names `if TYPE_CHECKING:`.

    Type checkers and readers see plain imports; when the program runs, each happens when its name is used.

    Args:
        package: its `__name__`.
        file: its `__file__`, where those imports stand.
    """
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    block = next(part for part in tree.body if isinstance(part, ast.If))
    imports = [part for part in block.body if isinstance(part, ast.ImportFrom)]
    homes = {one.name: str(part.module) for part in imports for one in part.names}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return get
