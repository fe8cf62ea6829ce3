"""The command line called in this process, and one trained model for all its tests."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from segshift.cli import main
from segshift.engine.run import run_recipe
from segshift.progress import SILENT
from tests.engine.recipes import toy_recipe


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """The one document on stdout; fails when anything else stands there."""
        assert self.status == 0, self.err
        return json.loads(self.out)

    def refusal(self) -> str:
        """The one line of a command that was given bad input."""
        assert self.status == 2, (self.status, self.out, self.err)
        assert self.out == "", self.out
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: "), self.err
        return lines[0].removeprefix("error: ")


Segshift = Callable[..., Outcome]


@pytest.fixture
def segshift(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Segshift:
    """`segshift ARGUMENTS...` as `main` runs it, with a narrow terminal."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["segshift", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "80")
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(bool(end.code))
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, toy_source: Path, toy_target: Path) -> Path:
    """The run folder of a network that tells the toy classes apart, more or less."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    recipe = toy_recipe(
        toy_source,
        toy_target,
        training={"steps": 15, "checkpoint_every": 100},
        evaluation={"input_size": [40, 32]},
        optimizers={"segmenter": {"lr": 0.05}},
    )
    run_recipe(recipe, folder, SILENT)
    return folder


@pytest.fixture(scope="session")
def city_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Rendered cities go here, once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("city")
        patch.setenv("SEGSHIFT_CACHE", str(folder))
        yield folder
