"""Every output option refuses a place that cannot be written, in one line and before any work."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import typer

from segshift.cli import app
from segshift.cli.command import load
from tests.cli.conftest import Segshift

# What each command needs besides; nothing of it is looked at before the output is.
NEEDED = {
    "demo": "",
    "train": "advent",
    "adapt": "run photos",
    "export": "run",
    "compare": "comparison.yaml",
    "sweep": "advent --set seed=1,2",
    "evaluate": "run --data data.yaml",
    "predict": "run photos",
    "diagnose": "source.yaml target.yaml",
    "analyze": "run --source a.yaml --target b.yaml",
    "report": "run",
    "health": "run",
    "import-weights": "a.pth --layout clan",
    "data init": "folder",
    "data check": "data.yaml",
    "data prepare": "data.yaml --size 48x32",
    "data synthesize": "city:game",
    "data translate": "run --data data.yaml",
    "data pseudo-label": "run --data data.yaml",
    "data patch-modes": "data.yaml",
}
# Options that are paths to read.
INPUTS = {
    ("evaluate", "--predictions"),
    ("diagnose", "--model"),
    ("serve", "--auth_file"),
    ("serve", "--examples"),
}


def path_options() -> Iterator[tuple[str, str, str]]:
    """Command, option and its help, of every option that is a path."""

    def below(group: typer.Typer, words: str) -> Iterator[tuple[str, str, str]]:
        for name, home in group.info.cls.homes.items():  # type: ignore[union-attr]
            for argument, hint in get_type_hints(load(home), include_extras=True).items():
                for option in getattr(hint, "__metadata__", ()):
                    if isinstance(option, typer.models.OptionInfo) and "Path" in str(get_args(hint)[0]):
                        # Typer keeps the first name of an annotated option as its default.
                        said = option.default if isinstance(option.default, str) else f"--{argument}"
                        yield f"{words}{name}", said, option.help or ""
        for one in group.registered_groups:
            assert one.typer_instance is not None
            yield from below(one.typer_instance, f"{words}{one.name} ")

    yield from below(app, "")


OUTPUTS = sorted(one for one in path_options() if one[:2] not in INPUTS)


def test_every_command_with_an_output_is_here() -> None:
    assert {command for command, _, _ in OUTPUTS} == set(NEEDED)
    assert {"--sheet", "--html", "--chart", "--out"} == {option for _, option, _ in OUTPUTS}


@pytest.mark.parametrize(("command", "option", "meaning"), OUTPUTS, ids=[" ".join(o[:2]) for o in OUTPUTS])
def test_an_output_that_cannot_be_written_is_one_line(
    segshift: Segshift,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    option: str,
    meaning: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    places = ["file/x", "file/x/y.png", "/proc/nope", "/proc/nope/x", "x" * 300, f"{'x' * 300}/x"]
    if option != "--chart":  # which are two files with endings of their own
        places.append("file" if meaning.startswith(("Folder", "Run folder")) else "folder")
    for place in places:
        refusal = segshift(*command.split(), *shlex.split(NEEDED[command]), option, place).refusal()
        assert refusal.startswith(f"{place}"), refusal
        assert "cannot be written (" in refusal and "; choose another --" in refusal, refusal
    assert sorted(tmp_path.rglob("*")) == before
