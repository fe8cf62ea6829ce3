"""Commands of one imported segshift, with a stand-in for it: each as if it had been started alone."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.forked_segshift import forked_segshift

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.process

COMMAND_LINE = """
import os, signal, sys
import segshift
segshift.called = []
def main():
    word, *others = sys.argv[1:]
    sys.stdout.reconfigure(errors="backslashreplace")
    segshift.called.append(word)
    print(sys.argv[0], os.getpid(), segshift.importer, segshift.called, os.getcwd(), os.environ.get("MINE"))
    print(sys.stdin.read(), file=sys.stderr)
    if word == "fail":
        sys.exit("the reason")
    if word == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "exit":
        sys.exit(int(others[0]))
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    engine = tmp_path / "package" / "segshift" / "engine"
    engine.mkdir(parents=True)
    (engine.parent / "__init__.py").write_text("import os\nimporter = os.getpid()\n")
    (engine.parent / "cli.py").write_text(COMMAND_LINE)
    for name in ("__init__", "presets", "run", "smoke"):
        (engine / f"{name}.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "package"))
    with forked_segshift() as commands:
        yield commands / "segshift"


def call(command: Path, *words: str, **others: str) -> "subprocess.CompletedProcess[str]":
    given = {"cwd": others.get("cwd"), "env": {"MINE": others.get("mine", "")}}
    return subprocess.run(
        [command, *words], input=others.get("stdin"), capture_output=True, text=True, **given
    )


def test_a_command_has_its_arguments_folder_environment_and_streams(command: Path, tmp_path: Path) -> None:
    result = call(command, "word", cwd=str(tmp_path), mine="own", stdin="typed")
    assert result.returncode == 0, result.stderr
    name, _, _, called, folder, own = result.stdout.split()
    assert (name, called, Path(folder), own) == ("segshift", "['word']", tmp_path.resolve(), "own")
    assert result.stderr == "typed\n"


def test_one_process_imports_and_every_command_is_another(command: Path) -> None:
    first, second = (call(command, word).stdout.split() for word in ("one", "two"))
    assert first[2] == second[2] and len({first[1], second[1], first[2]}) == 3
    assert second[3] == "['two']"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [(("exit", "7"), 7, ""), (("fail",), 1, "the reason"), (("killed",), 137, ""), ((), 1, "Traceback")],
)
def test_it_ends_as_the_command_does(command: Path, words: tuple[str, ...], status: int, said: str) -> None:
    result = call(command, *words)
    assert result.returncode == status and said in result.stderr
    assert call(command, "next").returncode == 0


def test_a_package_that_cannot_be_imported_fails_the_command(command: Path, tmp_path: Path) -> None:
    (tmp_path / "package" / "segshift" / "cli.py").write_text("raise RuntimeError")
    assert call(command, "word").returncode == 1


def test_the_first_process_ends_with_the_one_that_wants_it(command: Path) -> None:
    program = (
        "import os, signal, subprocess\n"
        "from tools.forked_segshift import forked_segshift\n"
        "with forked_segshift() as commands:\n"
        "    subprocess.run([commands / 'segshift', 'word'], stdin=subprocess.DEVNULL)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # It writes to the same pipe, which ends only with the last of them.
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == -9 and "['word']" in result.stdout
