"""The script for a GPU runs, tiny and on the CPU: minutes on a lent machine shall not be lost to faults."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.slow
def test_every_way_is_measured_and_what_there_was_no_time_for_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("gpu", FOLDER / "gpu.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu", script)
    spec.loader.exec_module(script)
    whole = script.plan()
    assert {way for _, way in whole} == set(script.WAYS) and {name for name, _ in whole} == set(
        script.METHODS
    )
    rows = [("source_only", script.PLAIN), ("fada", script.PLAIN)]
    rows += [("source_only", way) for way in script.WAYS if way != script.PLAIN]
    monkeypatch.setattr(script, "plan", lambda: rows)
    for minutes in ("9", "0"):
        monkeypatch.setattr(
            sys, "argv", ["gpu.py", "--cpu-check", "--minutes", minutes, "--out", str(tmp_path / minutes)]
        )
        script.main()
    printed = capsys.readouterr().out
    assert all(f"| {name} | {way} |" in printed for name, way in rows)
    assert f"Left out, the time was up: source_only: {script.PLAIN}; fada: " in printed
    found = json.loads((tmp_path / "9" / "gpu.json").read_text())
    assert found["peak_tflops"] > 0 and len(found["rows"]) == len(rows)
    assert all(row["steps_per_s"] > 0 and row["tflop_per_step"] > 0 for row in found["rows"])
