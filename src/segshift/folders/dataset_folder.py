"""Writing a data set into a folder: whose it is, how far it has come, and the dataset.yaml that ends it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segshift import files
from segshift.documents import dump_yaml, read_json_object
from segshift.errors import InputError
from segshift.folders.lock import is_free, lock_folder

SPEC = "dataset.yaml"


@dataclass(frozen=True)
class DatasetFolder:
    """The folder of a data set that a command writes.

    Its record (`prepared.json`, say) is written first and says with which settings the set is made; its
    dataset.yaml is written last and makes it a data set.

    Attributes:
        path: of the folder.
        record: the name of the record.
    """

    path: Path
    record: str

    @property
    def spec(self) -> Path:
        """The dataset.yaml."""
        return self.path / SPEC

    @contextmanager
    def claimed(self, settings: Mapping[str, Any], *, wait: bool = False) -> Iterator[None]:
        """Hold the folder while the block runs, for a set of these settings; go on if it has been begun.

        Args:
            settings: all that the files depend on; for JSON.
            wait: until another process that holds the folder is done, instead of being refused.

        Raises:
            InputError: another process holds it, or it holds other files or a set of other settings.
        """
        with lock_folder(self.path, wait=wait):
            if (self.path / self.record).exists():
                self._compare(settings)
            elif is_free(self.path):
                files.write_json(self.path / self.record, settings)
            else:
                raise InputError(f"{self.path}: holds other files; give a new or empty folder")
            yield

    def read_record(self) -> dict[str, Any]:
        """The settings of the set. Raises InputError for a record that is missing or damaged."""
        fault = f"is no record of settings; remove {self.path}, or give another folder"
        return read_json_object(self.path / self.record, fault)

    def _compare(self, settings: Mapping[str, Any]) -> None:
        before = self.read_record()
        # What JSON makes of the settings (lists of tuples, texts of numbers as keys) is what was recorded.
        for key, value in json.loads(json.dumps(files.json_ready(settings))).items():
            if before.get(key) != value:
                raise InputError(
                    f"{self.path / self.record}: {key} is {before.get(key)!r} there, not {value!r}; "
                    "give another folder or the same settings"
                )

    def write_list(self, name: str, stems: Iterable[str]) -> None:
        """Write the list of a split, one stem a line, into the file `name` of the folder."""
        _write_anew(self.path / name, "".join(f"{stem}\n" for stem in stems))

    def finish(self, spec: Mapping[str, Any], comment: str) -> Path:
        """Write the dataset.yaml, below a comment, and return its path."""
        head = "".join(f"# {line}\n" for line in comment.splitlines())
        _write_anew(self.spec, head + dump_yaml(dict(spec), flow=None))
        return self.spec


def _write_anew(path: Path, text: str) -> None:
    """Write a file, unless it holds that text already."""
    if not path.is_file() or path.read_bytes() != text.encode("utf-8", "surrogateescape"):
        files.write_text(path, text)


@dataclass(frozen=True)
class Journal:
    """What has been done so far: lines of JSON, appended one by one and read again by the next call.

    Attributes:
        path: of the file.
    """

    path: Path

    def read(self) -> list[Any]:
        """The lines that are whole; a killed process may have left half of one. Empty without a file.

        Raises:
            InputError: a pipe, socket or device.
        """
        try:
            files.refuse_special(self.path)
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        entries = []
        for line in text.splitlines():
            try:
                entries.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
        return entries

    def append(self, entry: Any) -> None:
        """Write one more line, past what a killed process left of another. Raises OutputError."""
        with files.writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as stream:
                stream.seek(max(0, stream.tell() - 1))
                torn = stream.read(1) not in (b"", b"\n")
                stream.write(b"\n" * torn + json.dumps(entry).encode() + b"\n")

    def write(self, entries: Iterable[Any]) -> None:
        """Put other lines into its place, at once."""
        files.write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in entries))

    def remove(self) -> None:
        """Remove the file, if it is there."""
        self.path.unlink(missing_ok=True)
