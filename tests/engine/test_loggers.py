"""The progress line, and metrics.jsonl on a full disk."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from segshift.engine.loggers import MetricsFile, ProgressLine
from segshift.errors import OutputError
from segshift.terminal import TerminalProgress


def test_a_loss_is_named_with_its_network_where_two_have_it() -> None:
    losses = {
        "segmenter/supervised": 1.5,
        "advent/source": 0.25,
        "advent/target": 0.5,
        "advent_auxiliary/source": 0.75,
    }
    output = StringIO()
    with ProgressLine(TerminalProgress(Console(file=output, width=200)), "run, stage two", 4, 0) as line:
        line.show(4, losses, {"segmenter": 1e-3})
    text = output.getvalue()
    assert text.startswith("run, stage two  step 4/4  ")
    assert (
        "  supervised 1.5  advent/source 0.25  target 0.5  advent_auxiliary/source 0.75  lr 1.00e-03" in text
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_full_disk_is_said_of_metrics_jsonl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    opened = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda self, mode="r", **how: opened(Path("/dev/full") if mode == "a" else self, mode, **how),
    )
    metrics = MetricsFile(path, 0)
    for what in (lambda: metrics.write(1, losses={}), metrics.close):
        with pytest.raises(OutputError) as caught:
            what()
        assert str(caught.value).startswith(f"{path}: cannot be written (No space left on device); free some")
