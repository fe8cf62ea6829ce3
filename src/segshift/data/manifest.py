"""The record of a prepared data set: what every file was made of, its hash, and its pixels per class."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segshift.data.content import content_hashes
from segshift.documents import parse_json, read_json
from segshift.errors import InputError
from segshift.files import read_text, write_json
from segshift.folders import DatasetFolder, Journal
from segshift.making import cores

RECORD = "prepared.json"
"""The file in a prepared set's folder that holds the settings it was made with."""


@dataclass(frozen=True)
class MadeFile:
    """A written file: its SHA-256 in hexadecimal and its size."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Original:
    """A file that something was made of: its path, relative to the data set's root, and its SHA-256."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Entry:
    """One sample of a prepared split.

    Attributes:
        stem: of the sample, in the original as in the prepared set.
        source: the original image and label; the label is None without labels.
        image, label: the files that were written.
        class_pixels: pixels per train id of the prepared label, 255 (ignored) included; None without label.
    """

    stem: str
    source: tuple[Original, Original | None]
    image: MadeFile
    label: MadeFile | None
    class_pixels: dict[int, int] | None


def hash_of(data: bytes) -> MadeFile:
    """The record of a file with this content."""
    return MadeFile(hashlib.sha256(data).hexdigest(), len(data))


def entry_from(data: Any) -> Entry:
    """The entry of parsed JSON. Raises KeyError, TypeError or ValueError for another layout."""
    image, label = data["source"]
    counts = data["class_pixels"]
    return Entry(
        stem=str(data["stem"]),
        source=(Original(**image), None if label is None else Original(**label)),
        image=MadeFile(**data["image"]),
        label=None if data["label"] is None else MadeFile(**data["label"]),
        class_pixels=None if counts is None else {int(key): int(value) for key, value in counts.items()},
    )


def manifest_path(folder: Path, split: str) -> Path:
    """Where the entries of a complete split stand, one per line, in the split's order."""
    return folder / "manifest" / f"{split}.jsonl"


def journal(folder: Path, split: str) -> Journal:
    """The entries of a split that is being prepared."""
    return Journal(folder / "manifest" / f"{split}.partial.jsonl")


def read_manifest(folder: Path, split: str) -> dict[str, Entry]:
    """The entries of a complete split by their stems.

    Raises:
        InputError: there is no manifest, or it is damaged.
    """
    path = manifest_path(folder, split)
    try:
        lines = read_text(path).splitlines()
        entries = [entry_from(parse_json(line, str(path))) for line in lines]
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file, so the split {split!r} is not complete; run `segshift data prepare` again"
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{path}: is damaged; remove the file and run `segshift data prepare` again"
        ) from None
    return {entry.stem: entry for entry in entries}


def read_progress(folder: Path, split: str) -> dict[str, Entry]:
    """What earlier runs recorded of a split, finished or not; the half line of a killed run is left out."""
    entries: dict[str, Entry] = {}
    for noted in (Journal(manifest_path(folder, split)), journal(folder, split)):
        for data in noted.read():
            try:
                entry = entry_from(data)
            except (ValueError, KeyError, TypeError):
                continue
            entries[entry.stem] = entry
    return entries


def write_manifest(folder: Path, split: str, entries: Iterable[Entry]) -> None:
    """Write a complete split's entries and remove the journal."""
    Journal(manifest_path(folder, split)).write(asdict(entry) for entry in entries)
    journal(folder, split).remove()


def prepared_folder(path: Path) -> Path | None:
    """The folder of the prepared data set that a file lies in, or None."""
    return next((folder for folder in path.parents if (folder / RECORD).is_file()), None)


def made_paths(out: Path, split: str, stem: str) -> tuple[Path, Path]:
    """Where the image and the label of a sample are written."""
    return out / "images" / split / f"{stem}.jpg", out / "labels" / split / f"{stem}.png"


def list_path(out: Path, split: str) -> Path:
    """The list of the split's stems, one per line."""
    return out / "lists" / f"{split}.txt"


def complete_splits(out: Path) -> list[str]:
    """The names of the splits that are complete."""
    folder = out / "manifest"
    return sorted(path.stem for path in folder.glob("*.jsonl") if not path.name.endswith(".partial.jsonl"))


def is_whole(path: Path, expected: MadeFile) -> bool:
    """Whether the file is there with the recorded content."""
    try:
        return path.stat().st_size == expected.size_bytes and hash_of(path.read_bytes()) == expected
    except OSError:
        return False


def verify(out: str | Path, *, workers: int | None = None) -> dict[str, list[str]]:
    """Compare a prepared set with its manifest: every file there, every hash equal, every list complete.

    Originals that are still where they were are compared too: one that was corrected is not prepared.

    Args:
        out: the folder of the prepared set.
        workers: threads, None for one per core.

    Returns:
        For every split one line per damaged, missing or outdated file; empty where all is well.

    Raises:
        InputError: the folder holds no complete prepared set.
    """
    out = Path(out)
    folder = DatasetFolder(out, RECORD)
    if not (out / RECORD).is_file() or not folder.spec.is_file():
        raise InputError(f"{out}: holds no complete prepared data set; run `segshift data prepare` first")
    folder.read_record()
    problems: dict[str, list[str]] = {}
    for name in complete_splits(out):
        entries = read_manifest(out, name)
        jobs: list[tuple[Path, MadeFile]] = []
        for entry in entries.values():
            image, label = made_paths(out, name, entry.stem)
            jobs.append((image, entry.image))
            if entry.label is not None:
                jobs.append((label, entry.label))
        with ThreadPoolExecutor(workers or cores()) as pool:
            wrong = [message for message in pool.map(_compare, jobs) if message]
        wrong += _changed(out, entries.values(), workers)
        listed = list_path(out, name)
        if not listed.is_file() or _lines(listed) != list(entries):
            wrong.append(f"{list_path(out, name)}: differs from the manifest")
        problems[name] = wrong
    return problems


def _changed(out: Path, entries: Iterable[Entry], workers: int | None) -> list[str]:
    """One line per original whose content is not what was prepared; moved ones are not looked for."""
    try:
        root = Path(str(read_json(_root_path(out))["root"]))
    except (InputError, KeyError, TypeError):
        return []
    originals = {root / one.path: one for entry in entries for one in entry.source if one is not None}
    hashes = content_hashes(tuple(originals), workers=workers)
    return [
        f"{path}: has changed since it was prepared"
        for (path, original), now in zip(originals.items(), hashes, strict=True)
        if now and now != original.sha256
    ]


def write_root(out: Path, root: Path) -> None:
    """Record where the originals lie, for `verify`."""
    write_json(_root_path(out), {"root": str(root.absolute())})


def _root_path(out: Path) -> Path:
    return out / "manifest" / "originals.json"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()


def _compare(job: tuple[Path, MadeFile]) -> str:
    path, expected = job
    if is_whole(path, expected):
        return ""
    return f"{path}: {'differs from what was written' if path.is_file() else 'is missing'}"
