"""Libraries that plain use does without, and the extras that bring them."""

import importlib
from typing import Any

from segshift.errors import InputError

# What the import is called: what the library is called, and the extra of pyproject.toml that installs it.
_LIBRARIES = {
    "cv2": ("OpenCV", "opencv"),
    "fsspec": ("s3fs", "remote"),
    "s3fs": ("s3fs", "remote"),
    "plotly": ("plotly", "report"),
    "sklearn": ("scikit-learn", "analysis"),
}


def missing(error: ImportError) -> InputError | None:
    """One line for a library that is not installed: what brings it; None for an import that failed otherwise.

    Args:
        error: of the import; its `name` may be a module of the library.
    """
    if not isinstance(error, ModuleNotFoundError):
        return None
    module = (error.name or "").partition(".")[0]
    if module in _LIBRARIES:
        library, extra = _LIBRARIES[module]
        return InputError(
            f'this needs {library}, which is not installed; run `pip install "segshift[{extra}]"`, '
            'or "segshift[full]" for all such libraries'
        )
    if not module or module == "segshift":
        return None
    return InputError(f"the package {module} is not installed; `pip check` says what else is missing")


def module_of_extra(name: str) -> Any:
    """A module, ours or another's, that needs an extra; InputError where the extra is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        answer = missing(error)
        if answer is None:
            raise
        raise answer from None
