"""What plain use does without is named, with the extra that brings it, where it is missing."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from segshift.errors import InputError
from segshift.extras import _LIBRARIES, missing, module_of_extra

ROOT = Path(__file__).resolve().parents[1]
_WITHOUT = """
import sys
for name in ("cv2", "plotly", "sklearn"):
    sys.modules[name] = None  # as if it were not installed
from segshift.cli import main
for words in sys.argv[1:]:
    sys.argv[1:] = words.split()
    try:
        main()
    except SystemExit as ended:
        print(f"status {ended.code}", file=sys.stderr)
"""


def test_the_extras_of_the_messages_exist_and_bring_the_library() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {library.lower(): extra for library, extra in _LIBRARIES.values()}
    for library, extra in named.items():
        assert any(library in line for line in project["optional-dependencies"][extra]), extra
        assert not any(library in line for line in project["dependencies"]), f"{library} is not optional"


@pytest.mark.process
def test_commands_name_the_extra_that_they_need(tmp_path: Path) -> None:
    commands = {
        "data synthesize city:game --out game": "opencv",
        "train clan --source city:game --target city:dusk --out run": "opencv",
        "diagnose city:game city:dusk": "opencv",
        "compare --methods clan --source city:game --target city:dusk --out compared": "report",
    }
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, *commands, "presets list"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    said = done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert [line for line in said if line.startswith("status")] == ["status 2"] * len(commands) + ["status 0"]
    text = " ".join(done.stderr.split())
    for extra in commands.values():
        assert f'`pip install "segshift[{extra}]"`' in text
    assert list(tmp_path.iterdir()) == []


def test_other_failures_of_an_import_are_not_explained_away() -> None:
    assert missing(ImportError("a library of the system")) is None
    assert missing(ModuleNotFoundError("", name="segshift.gone")) is None
    assert "torch" in str(missing(ModuleNotFoundError("", name="torch.nn")))
    with pytest.raises(ModuleNotFoundError):
        module_of_extra("segshift.gone")


def test_a_module_of_an_extra_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r"needs OpenCV, .*segshift\[opencv\]"):
        module_of_extra("cv2")
