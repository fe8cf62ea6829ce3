"""The table of selection scores, on constructed runs whose answer is known."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from segshift.errors import InputError
from tests.benchmarks.scripts import FOLDER, imported


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with imported("selection_scores") as module:
        yield module


def write_run(folder: Path, lines: list[tuple[float | None, dict[str, float | None]]]) -> None:
    folder.mkdir(parents=True)
    records: list[dict[str, Any]] = [{"step": 10, "losses": {"a": 1.0}}]
    for index, (miou, scores) in enumerate(lines):
        records.append({"step": 20 * (index + 1), "evaluation": {"miou": miou}, "unsupervised": scores})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Two runs: entropy ranks perfectly (lower is better), snd the wrong way, bnm only across runs."""
    for name, base in (("a", 0.2), ("b", 0.4)):
        mious = [base, base + 0.05, base + 0.03]
        write_run(
            tmp_path / "pair" / name,
            [(m, {"entropy": 1 - m, "snd": 3 - m, "bnm": base + 0.001 * k}) for k, m in enumerate(mious)],
        )
    return tmp_path / "pair"


def test_spearman_is_that_of_scipy(script: ModuleType) -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(0)
    for _ in range(20):
        a, b = generator.integers(0, 6, 12).tolist(), generator.normal(size=12).tolist()
        assert script.spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert math.isnan(script.spearman([1, 1, 1], [1, 2, 3])) and math.isnan(script.spearman([1], [2]))


def test_scores_with_a_known_answer(script: ModuleType, pair: Path) -> None:
    runs = script.read_runs(pair)
    assert {name: len(found) for name, found in runs.items()} == {"a": 3, "b": 3}
    entropy, snd, bnm = (script.judge(runs, score) for score in ("entropy", "snd", "bnm"))
    assert (entropy.within, entropy.across, entropy.methods, entropy.loss) == pytest.approx((1, 1, 1, 0))
    assert (snd.within, snd.across, snd.methods) == pytest.approx((-1, -1, -1))
    # The wrong way round means the worst checkpoint of each run.
    assert snd.loss == pytest.approx(0.05)
    # mIoU ranks 0 2 1 against 0 1 2, within a run and in each half of all.
    assert bnm.within == pytest.approx(0.5) and bnm.across == pytest.approx(1 - 6 * 4 / (6 * 35))
    assert bnm.loss == pytest.approx(0.02) and script.last_loss(runs) == pytest.approx(0.02)
    missing = script.judge(runs, "source_validation")
    assert math.isnan(missing.within) and math.isnan(missing.loss)


def test_evaluations_without_labels_or_scores_are_left_out(script: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path / "x" / "run", [(None, {"snd": 1.0}), (0.3, {"snd": None, "bnm": 0.5}), (0.4, {})])
    (found,) = script.read_runs(tmp_path / "x").values()
    assert [(one.miou, dict(one.scores)) for one in found] == [(0.3, {"bnm": 0.5})]
    write_run(tmp_path / "y" / "run", [])
    with pytest.raises(InputError, match="no run has evaluations with label-free scores"):
        script.read_runs(tmp_path / "y")


def test_the_tables(script: ModuleType, pair: Path) -> None:
    runs = script.read_runs(pair)
    lines = script.table("toys", runs).splitlines()
    assert lines[0] == "### toys: 6 checkpoints of 2 runs"
    assert "| mean entropy (`entropy`) | +1.00 | +1.00 | +1.00 | 0.0 | 2 / 0 / 0 |" in lines
    # The wrong way round means the first checkpoint, which is worse than the last.
    assert any("`snd`" in line and line.endswith("| 5.0 | 0 / 0 / 2 |") for line in lines)
    assert "| last checkpoint |  |  |  | 2.0 |  |" in lines
    means = script.overall({"one": runs, "two": runs}).splitlines()
    assert means[0] == "### mean over 2 pairs" and "`entropy`" in means[4]
    assert means[4].endswith("| 4 / 0 / 0 |")


@pytest.mark.process
def test_the_command(pair: Path) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(FOLDER / "selection_scores.py"), *arguments], capture_output=True, text=True
        )

    done = call(f"toys={pair}")
    assert done.returncode == 0 and done.stdout.startswith("### toys")
    assert "write NAME=FOLDER" in call(str(pair)).stderr
