"""Whether a network has seen labels of its target: what every table has to say beside its scores."""

import json
from pathlib import Path


def saw_target_labels(model: str | Path) -> bool | None:
    """What the `results.json` beside a model says about it, or None where there is none.

    Args:
        model: a run folder or the model.safetensors in one.
    """
    path = Path(model).expanduser()
    folder = path if path.is_dir() else path.parent
    try:
        used = json.loads((folder / "results.json").read_text(encoding="utf-8"))["uses_target_labels"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return used if isinstance(used, bool) else None
