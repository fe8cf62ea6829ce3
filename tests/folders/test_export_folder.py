"""An export's folder takes its place as a whole, over an earlier export alone."""

from pathlib import Path

import pytest

from segshift.errors import InputError
from segshift.folders import ExportFolder, write_summary


def export(folder: Path, text: str, *names: str) -> None:
    with ExportFolder(folder).replaced() as new:
        for name in names:
            (new / name).write_text(text)
        write_summary(new, {"files": []})


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.name != "export.json"}


def test_a_later_export_takes_the_place_of_all_of_an_earlier_one(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "export"
    export(folder, "old", "model.onnx", "README.md")
    assert contents(folder) == {"model.onnx": "old", "README.md": "old"}
    export(folder, "new", "model.pt2", "README.md")
    assert contents(folder) == {"model.pt2": "new", "README.md": "new"}
    assert [path.name for path in folder.parent.iterdir()] == ["export"]
    assert folder.stat().st_mode & 0o755 == 0o755  # not private, as temporary folders are
    link = tmp_path / "link"
    link.symlink_to(folder)
    export(link, "newest", "model.onnx")
    assert link.is_symlink() and contents(folder) == {"model.onnx": "newest"}


def test_an_export_that_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    with pytest.raises(KeyboardInterrupt), ExportFolder(folder).replaced() as new:
        (new / "model.onnx").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    export(folder, "old", "model.onnx")
    with pytest.raises(ValueError, match="stop"), ExportFolder(folder).replaced() as new:
        (new / "model.onnx").write_text("half")
        raise ValueError("stop")
    assert contents(folder) == {"model.onnx": "old"} and list(tmp_path.iterdir()) == [folder]


def test_what_a_killed_export_left_is_removed_and_what_works_is_not(tmp_path: Path) -> None:
    left = tmp_path / ".export.export.abc12345.partial"
    left.mkdir()
    (left / "model.onnx").write_text("half")
    folder = tmp_path / "export"
    with ExportFolder(folder).replaced() as first:
        assert not left.exists()
        (first / "model.onnx").write_text("first")
        export(folder, "second", "model.onnx")
        assert first.is_dir() and contents(folder) == {"model.onnx": "second"}
        write_summary(first, {})
    assert contents(folder) == {"model.onnx": "first"}


def test_files_of_others_are_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    export(folder, "into an empty folder", "README.md")
    (folder / "README.md").write_text("edited")
    with pytest.raises(InputError, match=r"README\.md: was changed since it was exported; move it away"):
        ExportFolder(folder).check()
    (folder / "README.md").rename(tmp_path / "README.md")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds notes\.txt, which is not of an export"):
        ExportFolder(folder).check()
    with pytest.raises(InputError, match=r"holds notes\.txt"):
        export(folder, "new", "model.onnx")
    (folder / "notes.txt").unlink()
    export(folder, "new", "model.onnx")
    assert contents(folder) == {"model.onnx": "new"}
    (folder / "export.json").write_text("{")
    with pytest.raises(InputError, match="is no summary of an export"):
        ExportFolder(folder).check()


def test_a_summary_of_an_earlier_version_names_files_without_digests(tmp_path: Path) -> None:
    for name in ("model.onnx", "README.md"):
        (tmp_path / name).write_text("old")
    (tmp_path / "export.json").write_text('{"files": [{"file": "model.onnx"}]}')
    ExportFolder(tmp_path).check()
    (tmp_path / "model.pt2").write_text("other")
    with pytest.raises(InputError, match=r"holds model\.pt2"):
        ExportFolder(tmp_path).check()
