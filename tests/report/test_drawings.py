"""The charts: that they hold what they were given, as PNG and SVG, the same again for the same data."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from segshift.analysis.strips import Shown
from segshift.errors import InputError
from segshift.evaluation import compare_paired
from segshift.report.charts import gains_chart
from segshift.report.colors import MODEL_COLORS, check_colors
from segshift.report.content import Report
from segshift.report.drawings import strips, style
from segshift.report.drawings.analyses import Drawings
from segshift.report.drawings.bars import draw_class_bars
from segshift.report.drawings.confusion import draw_confusion
from segshift.report.drawings.lines import draw_sweep
from segshift.report.drawings.loss_curves import draw_loss_curves
from segshift.report.drawings.style import hue_color, shorten
from segshift.report.evidence import ReportSettings
from segshift.report.line_charts import retrieval_charts
from segshift.report.plots import Bars, ClassBars, confusion
from tests.report.make import make_report


def class_bars(
    values: dict[str, list[float]], names: list[str], mean: float | None = None, **more: Any
) -> ClassBars:
    rows = [Bars(name, place, np.array(own), mean=mean) for place, (name, own) in enumerate(values.items())]
    return ClassBars("Bars", "points", names, rows, **more)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is made."""
    made: list[Figure] = []

    class Kept(Figure):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            made.append(self)

    monkeypatch.setattr(style, "Figure", Kept)
    return made


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of visible texts of a figure that lie upon each other."""
    figure.draw_without_rendering()
    found = []
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_visible() and t.get_text()]
    for index, (text, box) in enumerate(boxes):
        for other, its in boxes[index + 1 :]:
            width = min(box.x1, its.x1) - max(box.x0, its.x0)
            height = min(box.y1, its.y1) - max(box.y0, its.y0)
            if width > 1 and height > 2:
                found.append((text, other))
    return found


def test_bars_are_the_values_and_texts_stay_apart(tmp_path: Path, figures: list[Figure]) -> None:
    names = [f"a rather long class name {index}" for index in range(19)]
    values = {f"model {k}": [k * (-1) ** i * i / 7 for i in range(18)] + [math.nan] for k in range(1, 5)}
    draw_class_bars(tmp_path / "bars", class_bars(values, names, 1.0, signed=True), "of a test")
    axes = figures[0].axes[0]
    for bars, row in zip(axes.containers, values.values(), strict=True):
        widths = [bar.get_width() for bar in bars.patches]  # type: ignore[attr-defined]
        assert widths == pytest.approx([*row[:-1], 0.0, 1.0])
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == [*names, "mean"]
    written = [text.get_text() for text in axes.texts]
    assert written.count("n/a") == 4 and "+1.7" in written and "−2.4" in written
    assert not overlapping_texts(figures[0])


def test_png_and_svg_are_made_again_bit_by_bit(tmp_path: Path) -> None:
    for name in ("first", "second"):
        draw_class_bars(tmp_path / name, class_bars({"a": [1.0, math.inf]}, ["x", "y"]), "of a test")
    for suffix in (".png", ".svg"):
        first, second = ((tmp_path / (name + suffix)).read_bytes() for name in ("first", "second"))
        assert first == second
    with Image.open(tmp_path / "first.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    color = [int(MODEL_COLORS[0][index : index + 2], 16) for index in (1, 3, 5)]
    assert (pixels == color).all(axis=2).sum() > 1000 and (pixels[0, 0] == 255).all()
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_confusions_are_shares_of_the_rows(tmp_path: Path, figures: list[Figure], scale: Any) -> None:
    counts = np.zeros((11, 11), np.int64)
    counts[:2, :2] = [[90, 10], [1, 9999]]
    names = [*("sky", "road", "traffic sign"), *(f"class {index}" for index in range(8))]
    shown_ones = [confusion("a", 0, counts, names), confusion("b", 1, counts.T, names)]
    draw_confusion(tmp_path / "c", shown_ones, scale, "of a test")
    image = figures[0].axes[0].images[0]
    shown = np.asarray(image.get_array())
    np.testing.assert_allclose(shown[:2, :2], [[0.9, 0.1], [1e-4, 0.9999]])
    assert np.ma.getmaskarray(image.get_array())[2].all() or np.isnan(shown[2]).all()
    numbers = [text.get_text() for text in figures[0].axes[0].texts]
    assert numbers == (["90", "10", "100"] if scale == "linear" else [])
    with Image.open(tmp_path / "c.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    for border in (pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:]):
        assert (border == 255).all(), "something is cut off"
    # On the logarithmic scale one in ten thousand is seen, and nothing is white.
    rare, none = image.to_rgba(np.array([[5e-4, 1e-5]]))[0, :, :3]
    assert none.tolist() == [1, 1, 1] if scale == "log" else none.min() > 0.999
    assert (rare.min() < 0.97) == (scale == "log")
    assert not overlapping_texts(figures[0])


def test_a_sweep_is_means_over_values(tmp_path: Path, figures: list[Figure]) -> None:
    lines = {"": {0.1: [0.2, 0.4], 0.001: [0.1, 0.1], 1.0: []}}
    draw_sweep(tmp_path / "s", "weight", lines, "of a test")
    axes = figures[0].axes[0]
    assert axes.get_xscale() == "log"
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[0.001, 10], [0.1, 30]])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.001", "0.1", "1"]
    words = ["a long name of a backbone", "another long name of it", "one more name, long, too", "last"]
    draw_sweep(tmp_path / "w", "backbone", {"": {word: [0.3] for word in words}}, "of a test")
    assert figures[1].axes[0].get_xscale() == "linear"
    ticks = figures[1].axes[0].get_xticklabels()
    assert [text.get_text() for text in ticks] == words and ticks[0].get_rotation() > 0
    draw_sweep(tmp_path / "n", "steps", {"a = 1": {1: [0.1], 2: [0.2]}, "a = 2": {1: [0.3]}}, "of a test")
    legend = figures[2].axes[0].get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["a = 1", "a = 2"]
    assert not overlapping_texts(figures[2])


def losing(report: Report) -> Report:
    """The report with the second run as the reference of the first: a loss."""
    first, second = report.runs[:2]
    assert first.result is not None and second.result is not None
    gain = compare_paired(second.result, first.result, resamples=50)
    return replace(report, runs=(replace(second, gain=None), replace(first, gain=gain)))


@pytest.mark.parametrize(
    ("change", "captions"),
    [
        (lambda report: report, ["before: a", "after: b"]),
        (losing, ["before: b", "no gain: a"]),
        (lambda report: replace(report, runs=report.runs[:1]), ["before: a"]),
    ],
)
def test_before_and_after_say_when_nothing_was_gained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Report], Report], captions: list[str]
) -> None:
    drawn: list[Shown] = []
    monkeypatch.setattr(strips, "draw_strips", lambda path, shown, classes: drawn.extend(shown))
    strips.draw_before_after(tmp_path / "strip.png", change(make_report(("a", "b"), pictures=1)))
    assert [list(one.predicted) for one in drawn] == [captions]


def test_too_many_models_and_long_names() -> None:
    assert len({hue_color(index) for index in range(8)}) == 8
    check_colors(8)
    assert all(re.fullmatch(r"#[0-9a-f]{6}", color) for color in MODEL_COLORS)
    with pytest.raises(InputError, match="9 models in one picture"):
        check_colors(9)
    assert shorten("x" * 20 + "/seed_0", 10) == "…xx/seed_0" and shorten("short") == "short"


def test_no_two_curves_of_a_run_have_one_color_and_dash(tmp_path: Path, figures: list[Figure]) -> None:
    records = [{"step": step, "losses": {f"segmenter/{k}": 0.1 * k for k in range(16)}} for step in (1, 2)]
    draw_loss_curves(tmp_path / "curves", {"run": records})
    lines = [line for line in figures[0].axes[0].lines if line.get_alpha() is None]
    looks = [(line.get_color(), line.get_linestyle()) for line in lines]
    assert len(looks) == len(set(looks)) == 16


def test_the_page_and_the_pictures_draw_the_same_bars_and_lines(
    tmp_path: Path, figures: list[Figure]
) -> None:
    report = make_report(pictures=0)
    Drawings(tmp_path, report, ReportSettings()).draw(["gains", "retrieval"])
    bars, lines = figures
    in_page = gains_chart(report.runs)
    assert in_page is not None
    for trace, container in zip(in_page.views["bars"].data, bars.axes[0].containers, strict=True):
        # The last bar is the mean, which the page has in its table.
        widths = [bar.get_width() for bar in container.patches[:-1]]  # type: ignore[attr-defined]
        assert widths == pytest.approx([value or 0.0 for value in trace.y], rel=1e-4, abs=1e-9)
        place = int(trace.marker.color.removeprefix("var(--run-").removesuffix(")"))
        assert to_hex(container.patches[0].get_facecolor()) == MODEL_COLORS[place]  # type: ignore[attr-defined]
    for chart, axes in zip(retrieval_charts(report), lines.axes, strict=True):
        traces = chart.views["curves"].data
        drawn = {str(line.get_label()): line for line in axes.lines}
        assert [trace.name for trace in traces] == [*list(drawn)[1:], "domains alike"]
        for trace in traces:
            assert max(drawn[trace.name].get_ydata()) == pytest.approx(max(trace.y), rel=1e-4)
        assert axes.get_title(loc="left") == chart.caption
