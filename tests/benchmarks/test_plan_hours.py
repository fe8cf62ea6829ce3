"""Hours come from measured steps where there are some, and say where the rest comes from."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.scripts import imported

ADAPTSEGNET, DAFORMER = "adaptsegnet_gta5_cityscapes_resnet101", "daformer_gta5_cityscapes_mitb5"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    with imported("plan_hours") as module:
        monkeypatch.setattr(module, "counted", lambda name: module.Step(7.2e12, 1000))
        yield module


def told(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["plan_hours.py", ADAPTSEGNET, DAFORMER, "--price", "3", *words])
    script.main()


def test_the_fastest_measured_way_counts_and_the_rest_is_stated(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        {"method": "adaptsegnet", "way": way, "tflops": tflops}
        for way, tflops in (("float32", 20.0), ("bf16", 40.0), ("TF32", 30.0))
    ]
    file = tmp_path / "gpu.json"
    file.write_text(json.dumps({"device": "a card", "rows": rows}))
    told(script, monkeypatch, "--measured", str(file), "--tflops", "100")
    lines = capsys.readouterr().out.splitlines()
    # 1000 steps of 7.2 TFLOP: 180 s at 40 TFLOP/s, 72 s at 100.
    assert lines[2] == f"| `{ADAPTSEGNET}` | 7200 | 1000 | 40 | measured: bf16, a card | 0.1 | 0 |"
    assert lines[3] == f"| `{DAFORMER}` | 7200 | 1000 | 100 | stated, not measured | 0.0 | 0 |"


def test_steps_on_a_cpu_count_by_the_plain_codes_operations(script: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "steps.json"
    row = {
        "method": "fada",
        "size": [512, 256],
        "plain": {"gflop": 900.0},
        "ours": {"gflop": 700.0, "seconds": 9.0},
    }
    file.write_text(json.dumps([row]))
    assert script.measured_rates(file) == {
        "fada": script.Rate(1e11, "measured: 512x256, fp32, CPU"),
    }


def test_without_any_rate_there_is_no_table(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        told(script, monkeypatch)
    assert ended.value.code == 2
    assert f"no measured rate for {ADAPTSEGNET}, {DAFORMER}: give --tflops" in capsys.readouterr().err
