"""The progress line."""

from io import StringIO

from rich.console import Console

from segshift.engine.loggers import ProgressLine


def test_a_loss_is_named_with_its_network_where_two_have_it() -> None:
    losses = {
        "segmenter/supervised": 1.5,
        "advent/source": 0.25,
        "advent/target": 0.5,
        "advent_auxiliary/source": 0.75,
    }
    output = StringIO()
    with ProgressLine(Console(file=output, width=200), "run, stage two", 4, 0) as line:
        line.show(4, losses, {"segmenter": 1e-3})
    text = output.getvalue()
    assert text.startswith("run, stage two  step 4/4  ")
    assert (
        "  supervised 1.5  advent/source 0.25  target 0.5  advent_auxiliary/source 0.75  lr 1.00e-03" in text
    )
