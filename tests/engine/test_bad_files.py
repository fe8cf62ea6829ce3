"""A bad file in a training run with loader processes ends it with one line that names the file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import write_toy_dataset
from tests.engine.recipes import toy_recipe

PROGRAM = "from segshift.cli import main; main()"


@pytest.mark.process
@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("images/train/003.png", None, "truncated or broken"),
        ("labels/train/004.png", None, "truncated or broken"),
        ("images/train/005.png", b"<html>404</html>", "not an image of a known format"),
    ],
)
def test_one_line_with_the_file(
    tmp_path: Path, toy_target: Path, file: str, content: bytes | None, reason: str
) -> None:
    source = write_toy_dataset(tmp_path / "source")
    path = source.parent / file
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    recipe = tmp_path / "recipe.yaml"
    changes = {"training": {"steps": 20, "workers": 2}}
    recipe.write_text(yaml.safe_dump(toy_recipe(source, toy_target, **changes).model_dump(mode="json")))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "train", str(recipe), "--out", str(tmp_path / "run")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [done.stderr.splitlines()[-1]], done.stderr
    assert str(path) in errors[0] and reason in errors[0]
    for word in ("Traceback", "DataLoader", "worker", 'File "'):
        assert word not in done.stderr + done.stdout
