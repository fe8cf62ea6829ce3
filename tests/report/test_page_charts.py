"""The charts of the report page, read back from its scripts."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from segshift.report.colors import DARK_MODEL_COLORS, MODEL_COLORS
from segshift.report.content import Curve
from segshift.report.line_charts import MOST_POINTS, curves_by_run, thinned
from tests.report.make import make_report, make_run
from tests.report.reading import shown, usual

pytestmark = pytest.mark.usefixtures("small_plotly")


def test_gains_are_bars_with_intervals_in_points() -> None:
    report, found = usual()
    traces = found.figure("gains")["bars"]["data"]
    comparison = report.runs[2].gain
    assert comparison is not None and [trace["name"] for trace in traces] == ["advent", "clan"]
    known = ~np.isnan(comparison.class_difference)
    values = np.array(traces[1]["y"], float)
    assert values[known] == pytest.approx(100 * comparison.class_difference[known], rel=1e-3)
    assert np.isnan(values[~known]).all() and (~known).sum() == 1
    upper = values + np.array(traces[1]["error_y"]["array"], float)
    assert upper[known] == pytest.approx(100 * comparison.class_interval[known, 1], abs=1e-2)


def test_confusions_are_shares_of_rows_on_both_scales() -> None:
    report, found = usual()
    result = report.runs[1].result
    assert result is not None
    views = found.figure("confusion-1")
    linear, log = (np.array(views[view]["data"][0]["z"], float) for view in ("linear", "log"))
    shares = result.confusion[:-1] / result.confusion[:-1].sum(axis=1, keepdims=True)
    assert linear[:-1] == pytest.approx(shares, rel=1e-3, abs=1e-9)
    assert log[:-1] == pytest.approx(np.log10(np.maximum(shares, 1e-4)), abs=1e-3)
    # The last class has no pixels, which is another thing than no confusion.
    assert np.isnan(linear[-1]).all() and np.isnan(log[-1]).all()


def test_colors_of_runs_are_variables_with_a_meaning_in_light_and_dark() -> None:
    _, found = usual()
    used = set(
        re.findall(
            r"var\((--[\w-]+)\)",
            json.dumps([found.figure(k) for k in ("gains", "fada", "embedding-0", "confusion-0", "entropy")]),
        )
    )
    style = found.html[found.html.index("<style>") : found.html.index("</style>")]
    for name in used:
        assert f"{name}:" in style, name
    for index, (light, dark) in enumerate(zip(MODEL_COLORS, DARK_MODEL_COLORS, strict=True)):
        assert f"--run-{index}: {light};" in style and f"--run-{index}: {dark};" in style


def test_dark_colors_stand_out_from_the_dark_paper() -> None:
    def luminance(color: str) -> float:
        parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for color in DARK_MODEL_COLORS:
        assert (luminance(color) + 0.05) / (luminance("#1a2027") + 0.05) > 4.5


def test_no_figure_brings_plotlys_default_template() -> None:
    _, found = usual()
    kept = [
        text
        for values, text in found.scripts
        if values.get("type") == "application/json" and "id" not in values
    ]
    assert len(kept) > 15
    for text in kept:
        for view in json.loads(text).values():
            assert "template" not in view["layout"]


def test_long_curves_keep_their_peaks_and_gaps() -> None:
    values = np.sin(np.arange(9000) / 50)
    values[4321], values[100:200] = 77.0, np.nan
    steps, kept = thinned(tuple(range(9000)), tuple(values))
    assert len(steps) <= MOST_POINTS + 2 and steps == sorted(steps) and steps[-1] == 8999
    assert 77.0 in kept and min(kept[150:]) == pytest.approx(-1, abs=1e-3) and any(map(math.isnan, kept))
    assert thinned((1, 2), (0.1, 0.2)) == ([1, 2], [0.1, 0.2])


def test_a_single_evaluation_is_no_curve() -> None:
    report = make_report(pictures=0)
    once = Curve("score", "mIoU", (2000,), (0.4,))
    runs = tuple(replace(run, curves=(once, run.curves[0])) for run in report.runs)
    found = shown(replace(report, runs=runs))
    assert "chart-curves-0-score" not in found.html and "chart-curve-score-0" not in found.html
    assert found.figure("curve-loss-0")["curves"]["data"]


def test_curves_stand_by_run_and_by_name() -> None:
    report, found = usual()
    losses = found.figure("curves-1-loss")["curves"]["data"]
    assert [trace["name"] for trace in losses] == ["segmenter/supervised", "segmenter/adversarial"]
    beside = found.figure("curve-loss-0")["curves"]["data"]
    assert [trace["name"] for trace in beside] == [run.name for run in report.runs]
    assert [trace["line"]["color"] for trace in beside] == [f"var(--run-{index})" for index in range(3)]
    chance = found.figure("curves-1-discriminator")["curves"]["layout"]["shapes"]
    assert [shape["y0"] for shape in chance] == [pytest.approx(math.log(2))]


def test_scores_share_an_axis_in_a_run_and_keep_their_numbers_beside_other_runs() -> None:
    snd = [Curve("score", "snd", (1, 2), values) for values in ((2.0, 4.0), (5.0, 1.0))]
    share = Curve("score", "entropy", (1, 2), (0.5, 0.25))
    runs = tuple(make_run(name, place, curves=(snd[place], share)) for place, name in enumerate("ab"))
    found = shown(make_report(("a", "b"), pictures=0, runs=runs))
    first = {one["name"]: one["y"] for one in found.figure("curves-0-score")["curves"]["data"]}
    assert first == {"snd / 4.00": [0.5, 1.0], "entropy": [0.5, 0.25]}
    assert [one["y"] for one in found.figure("curve-score-0")["curves"]["data"]] == [[2.0, 4.0], [5.0, 1.0]]


def test_a_chart_grows_with_its_legend_so_that_no_name_is_out_of_sight() -> None:
    curves = [Curve("score", f"score {number}", (1, 2), (0.1, 0.2)) for number in range(12)]
    few, many = (make_run(name, 0, curves=tuple(curves[:count])) for name, count in (("a", 4), ("b", 12)))
    found = shown(make_report(("a", "b"), pictures=0, runs=(few, many)))
    low, high = (found.figure(f"curves-{place}-score")["curves"]["layout"]["height"] for place in (0, 1))
    assert low == 290 and high >= 2 * 12 * 19 and 'id="chart-curves-1-score"' in found.html
    assert f"height:{high}px" in found.html


def test_the_embedding_has_open_marks_for_the_target_and_names_of_images() -> None:
    report, found = usual()
    views = found.figure("embedding-1")
    points_ = report.evidence.embedding["advent"]["patch"]
    traces = views["patch"]["data"]
    assert sum(len(trace["x"]) for trace in traces) == len(points_.images)
    for trace in traces:
        assert (trace["marker"]["symbol"] == "circle-open") == trace["name"].endswith("target")
        assert trace["hovertemplate"].startswith("%{fullData.name}<br>")
    assert {name for trace in traces for name in trace["customdata"]} == set(points_.images)
    assert {trace["marker"]["color"] for trace in views["image"]["data"]} == {
        "var(--source)",
        "var(--target)",
    }


def test_retrieval_ends_where_the_pool_does_and_shows_the_diagonal() -> None:
    report, found = usual()
    traces = found.figure("retrieval-a")["curves"]["data"]
    retrieval = report.evidence.retrieval["clan"]
    assert traces[2]["x"][-1] == 200 and traces[2]["y"][-1] == pytest.approx(
        retrieval.source_to_target[-1], rel=1e-3
    )
    assert traces[-1]["y"] == [0.5, 100.0]
    assert found.rows["retrieval"][2][1] == f"{100 * retrieval.source_map:.1f}"


def test_no_two_curves_of_a_chart_have_one_color_and_dash() -> None:
    curves = tuple(Curve("loss", f"segmenter/{index}", (1, 2), (0.5, 0.4)) for index in range(3 * 7))
    ((_, charts),) = curves_by_run([make_run("one", 0, curves=curves)])
    looks = [(line.line.color, line.line.dash) for line in charts[0].views["curves"].data]
    assert len(looks) == len(set(looks)) == 21
