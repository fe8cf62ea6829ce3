"""The script for a GPU runs, tiny and on the CPU: minutes on a lent machine shall not be lost to faults."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.scripts import imported

FOREVER_S = 1e6


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    with imported("gpu") as module:
        for limit in ("ROW_S", "COMPILED_ROW_S", "LOADING_S"):
            monkeypatch.setattr(module, limit, FOREVER_S)
        yield module


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))


def test_what_fails_or_takes_too_long_is_named_and_the_rest_goes_on(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = script.Findings(tmp_path / "gpu.json", time.monotonic() + FOREVER_S)

    def fail() -> None:
        raise RuntimeError("no kernel\nand more")

    assert findings.attempt("first", FOREVER_S, fail) is None
    assert findings.attempt("second", 0.05, lambda: time.sleep(FOREVER_S)) is None
    assert findings.attempt("third", FOREVER_S, lambda: 3) == 3
    findings.end = 0.0
    assert findings.attempt("fourth", FOREVER_S, lambda: 4) is None
    found = json.loads((tmp_path / "gpu.json").read_text())
    lines = [failed["line"] for failed in found["failed"]]
    assert (
        lines[0].startswith("FAILED first after 0 s: RuntimeError: no kernel") and "and more" not in lines[0]
    )
    assert lines[1].endswith("TimeoutError: took too long")
    assert "raise RuntimeError" in found["failed"][0]["traceback"]
    assert found["left_out"] == ["fourth"]
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.slow
def test_every_way_is_measured_and_what_there_was_no_time_for_is_named(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = script.plan()
    assert {way for _, way in whole} == set(script.WAYS) and {name for name, _ in whole} == set(
        script.METHODS
    )
    rows = [("source_only", script.PLAIN), ("fada", script.PLAIN)]
    rows += [("source_only", way) for way in script.WAYS if way != script.PLAIN]
    monkeypatch.setattr(script, "plan", lambda: rows)
    for minutes in (str(FOREVER_S), "0"):
        monkeypatch.setattr(
            sys, "argv", ["gpu.py", "--cpu-check", "--minutes", minutes, "--out", str(tmp_path / minutes)]
        )
        script.main()
    printed = capsys.readouterr().out
    assert all(f"| {name} | {way} |" in printed for name, way in rows)
    assert f"Left out, the time was up: peak; source_only: {script.PLAIN}; fada: " in printed
    found = json.loads((tmp_path / str(FOREVER_S) / "gpu.json").read_text())
    assert [one["images_per_s"] > 0 for one in found["loading"]] == [True, True]
    assert not found["failed"] and not found["left_out"]
    assert found["peak_tflops"] > 0 and len(found["rows"]) == len(rows)
    assert all(row["steps_per_s"] > 0 and row["tflop_per_step"] > 0 for row in found["rows"])
