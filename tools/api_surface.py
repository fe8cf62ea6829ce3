"""The public names of the library with their parameters, as JSON on stdout: what users' code may rely on.

`python tools/api_surface.py > tests/api_surface.json` records a change; a test compares.
"""

import importlib
import inspect
import json
import sys
from typing import Any

PACKAGES = ("segshift", "segshift.evaluation", "segshift.losses", "segshift.methods", "segshift.models")


def surface() -> dict[str, dict[str, Any]]:
    """`{package: {name: parameters}}`; for a class those of its constructor and of its public methods."""
    return {package: _names(importlib.import_module(package)) for package in PACKAGES}


def _names(package: Any) -> dict[str, Any]:
    return {name: _describe(getattr(package, name)) for name in sorted(package.__all__)}


def _describe(thing: Any) -> Any:
    if inspect.isclass(thing):
        methods = {
            name: _parameters(member)
            for name, member in sorted(vars(thing).items())
            if inspect.isfunction(member) and not name.startswith("_")
        }
        # Only its own constructor: what torch's and pydantic's classes take is theirs to say.
        own = vars(thing).get("__init__")
        return {"constructor": _parameters(own) if own is not None else None, "methods": methods}
    return _parameters(thing) if inspect.isroutine(thing) else type(thing).__name__


def _parameters(function: Any) -> str:
    """Names, kinds and defaults; without annotations, whose spelling differs between versions of Python."""
    signature = inspect.signature(function)
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


if __name__ == "__main__":
    json.dump(surface(), sys.stdout, indent=1)
    sys.stdout.write("\n")
