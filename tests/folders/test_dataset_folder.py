import os
from pathlib import Path

import pytest
import yaml

from segshift.errors import InputError
from segshift.folders import DatasetFolder, Journal, lock_folder


def test_a_folder_belongs_to_its_settings(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path / "set", "made.json")
    settings = {"size": (4, 2), "map": {1: "sky"}}
    for _ in range(2):
        with folder.claimed(settings):
            assert not folder.spec.exists()
    with (
        pytest.raises(InputError, match=r"made\.json: size is \[4, 2\] there, not \[8, 2\]"),
        folder.claimed({**settings, "size": (8, 2)}),
    ):
        pass


def test_other_files_and_damaged_records_are_refused(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path, "made.json")
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match="holds other files"), folder.claimed({}):
        pass
    (tmp_path / "made.json").write_text("{")
    with pytest.raises(InputError, match=r"made\.json: is no record"), folder.claimed({}):
        pass


def test_two_cannot_write_one_set(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path, "made.json")
    with lock_folder(tmp_path), pytest.raises(InputError, match="is writing there"), folder.claimed({}):
        pass


def test_what_killed_writers_left_is_no_other_file(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".made.abcd1234.partial.json").touch()
    with DatasetFolder(tmp_path, "made.json").claimed({}):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["made.json"]


def test_the_spec_is_commented_yaml_and_is_not_written_twice(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path, "made.json")
    spec = {"name": "größe", "root": ".", "splits": {"train": {"images": "a/{stem}.png"}}}
    path = folder.finish(spec, "Made.\nBy hand.")
    assert path == tmp_path / "dataset.yaml"
    assert path.read_text().startswith("# Made.\n# By hand.\nname: größe\n")
    assert yaml.safe_load(path.read_text()) == spec
    before = path.stat().st_ino
    folder.finish(spec, "Made.\nBy hand.")
    assert path.stat().st_ino == before


def test_names_that_are_no_text_keep_their_bytes_in_lists(tmp_path: Path) -> None:
    DatasetFolder(tmp_path, "made.json").write_list("train.txt", ["caf\udce9", "é"])
    assert (tmp_path / "train.txt").read_bytes() == b"caf\xe9\n\xc3\xa9\n"


def test_a_journal_survives_a_killed_writer(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "done.jsonl")
    assert journal.read() == []
    journal.append({"stem": "caf\udce9"})
    with journal.path.open("ab") as stream:
        stream.write(b'{"stem": "00')
    journal.append({"stem": "b"})
    assert journal.read() == [{"stem": "caf\udce9"}, {"stem": "b"}]
    journal.write([1, 2])
    assert journal.path.read_text() == "1\n2\n"
    journal.remove()
    assert journal.read() == []


def test_a_pipe_in_place_of_a_journal_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "done.jsonl")
    with pytest.raises(InputError, match=r"done\.jsonl: is a named pipe"):
        Journal(tmp_path / "done.jsonl").read()
