"""Recipes as plain data: the presets that come with the package, files of one's own, and `extends:`.

Nothing here needs PyTorch: presets are listed, and a wrong name is answered, at once.
"""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from segshift.config import apply_overrides, assignment, did_you_mean, merge
from segshift.documents import MOST_LEVELS, parse_yaml, read_yaml
from segshift.errors import InputError, shown
from segshift.files import expanded


def preset_names() -> list[str]:
    """Names of the presets in the package, sorted. Those that start with "_" are only extended."""
    return sorted(name for name in _files() if not name.startswith("_"))


def preset_text(name: str) -> str:
    """A preset's YAML as it stands in the package, comments included. Raises InputError if unknown."""
    files = _files()
    if name not in files:
        raise InputError(
            f"{shown(name)} is neither a preset nor a file{did_you_mean(name, preset_names())} "
            "(`segshift presets list` shows them all)"
        )
    return files[name].read_text(encoding="utf-8")


def preset_data(name: str) -> dict[str, Any]:
    """A preset's mapping, its `extends:` followed and nothing else checked. Raises InputError if unknown."""
    return _Extending().resolved(name)


def read_recipe(preset_or_file: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping of a preset name or a YAML file, with `extends:` followed and assignments made.

    Raises:
        InputError: unknown preset, unreadable file, or `extends:` in a circle.
    """
    reference = str(preset_or_file)
    base = _Extending().resolved(reference)
    data = apply_overrides(base, overrides)
    if not _is_file(reference):
        data = _without_foreign_target(data, base, apply_overrides({}, overrides))
    data.setdefault("name", Path(reference).stem)
    return data


def domain_changes(source: str | None, target: str | None) -> list[str]:
    """The dataset arguments of both domains as assignments, whatever brackets and colons a path holds."""
    changes = []
    if source is not None:
        # The preset's own target belongs to the preset's own source.
        changes += [assignment("source.dataset", source), "target.dataset=null"]
    return changes + ([] if target is None else [assignment("target.dataset", target)])


def recipe_data(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recipe's mapping from inside another file, with its `extends:` followed.

    Paths start at the folder of `where` if that is a file, else at the working folder. Raises InputError.
    """
    folder = Path(where).parent if Path(where).suffix in {".yaml", ".yml"} else Path()
    return _Extending().extended(_with_paths(dict(data), folder), where, folder)


def merge_recipe(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base` key by key; a method of another name replaces the whole `method:` section.

    One method's settings mean nothing to another.
    """
    merged = merge(base, over)
    before, after = base.get("method"), over.get("method")
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        name = before.get("name", "align")
        if after.get("name", name) != name:
            merged["method"] = dict(after)
    return merged


def _files() -> dict[str, Path]:
    # The package is always installed as plain files, so a Path is enough.
    folder = Path(str(resources.files("segshift.presets")))
    return {path.stem: path for part in (folder, folder / "papers") for path in sorted(part.glob("*.yaml"))}


def _identity(reference: str) -> str:
    """A preset's name or a file's one path: a file can be written in many ways (sub/../own.yaml)."""
    path = Path(reference)
    return str(path.resolve()) if _is_file(reference) else reference


class _Extending:
    """Follows `extends:`; every preset and file is read and resolved once, however many others name it."""

    def __init__(self) -> None:
        self._done: dict[str, dict[str, Any]] = {}
        self._above: dict[str, str] = {}  # what is being resolved: identities, and how they were written

    def resolved(self, reference: str) -> dict[str, Any]:
        """The data of a preset or file on top of what it extends."""
        identity = _identity(reference)
        if identity in self._above:
            circle = " -> ".join([*self._above.values(), reference])
            raise InputError(f"extends: {circle} runs in a circle; take one link out")
        if len(self._above) >= MOST_LEVELS:
            raise InputError(f"{reference}: `extends` goes through more than {MOST_LEVELS} files; join some")
        if identity not in self._done:
            path = Path(reference)
            if _is_file(reference):
                data = _with_paths(read_yaml(path), path.parent)
            else:
                data = parse_yaml(preset_text(reference), where=f"preset {reference}")
            self._above[identity] = reference
            self._done[identity] = self.extended(data, reference, path.parent)
            del self._above[identity]
        return self._done[identity]

    def extended(self, data: dict[str, Any], reference: str, folder: Path) -> dict[str, Any]:
        """`data` on top of what its `extends:` names, one after the other."""
        bases = data.pop("extends", None)
        if bases is None:
            return data
        names = [bases] if isinstance(bases, str) else bases
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise InputError(
                f"{reference}: `extends` = {shown(bases)}: give a preset name or YAML path, or a list"
            )
        result: dict[str, Any] = {}
        for name in names:
            result = merge_recipe(result, self.resolved(str(folder / name) if _is_file(name) else name))
        merged = merge_recipe(result, data)
        return merged if any(map(_is_file, names)) else _without_foreign_target(merged, result, data)


def _without_foreign_target(
    merged: dict[str, Any], preset: Mapping[str, Any], own: Mapping[str, Any]
) -> dict[str, Any]:
    """`merged` without a preset's target from the built-in city, where `own` names another source alone.

    The city is no target for one's own images: its classes would be compared with theirs.
    """
    source, target = _dataset(own, "source"), _dataset(preset, "target")
    if source is None or source.startswith("city:") or target is None or not target.startswith("city:"):
        return merged
    kept = _dataset(own, "target") is None and _dataset(merged, "target") == target
    return {**merged, "target": {**merged["target"], "dataset": None}} if kept else merged


def _dataset(data: Mapping[str, Any], stream: str) -> str | None:
    """What `source.dataset` or `target.dataset` says, if it is there and a string."""
    section = data.get(stream)
    value = section.get("dataset") if isinstance(section, Mapping) else None
    return value if isinstance(value, str) else None


def _is_file(reference: str) -> bool:
    """Whether a recipe is named by its file, not as a preset."""
    return Path(reference).suffix in {".yaml", ".yml"}


def _with_paths(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A file's data with the classes of its author's own (`own.py:Own`) found beside the file."""
    if isinstance(data.get("model"), dict):
        data = {**data, "model": _beside(data["model"], "module", folder)}
    method = data.get("method")
    if not isinstance(method, dict):
        return data
    method = _beside(method, "name", folder)
    if isinstance(method.get("terms"), list):
        terms = [
            _beside(term, "term", folder) if isinstance(term, dict) else term for term in method["terms"]
        ]
        method = {**method, "terms": terms}
    return {**data, "method": method}


def _beside(section: dict[str, Any], key: str, folder: Path) -> dict[str, Any]:
    reference = section.get(key)
    if not isinstance(reference, str) or ".py:" not in reference:
        return section
    file, _, name = reference.rpartition(":")
    return {**section, key: f"{(folder / expanded(file)).resolve()}:{name}"}
