"""The report as one HTML file: style, script, pictures, charts and plotly.js inside, no network needed."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.offline
from markupsafe import Markup

from segshift import files
from segshift.documents import dump_yaml
from segshift.errors import InputError
from segshift.evaluation import percent
from segshift.pictures import hex_color
from segshift.plain import counted
from segshift.report import charts, embedding_charts, layers, line_charts, plots, tables, wording
from segshift.report.base_page import render_template, script_json
from segshift.report.colors import COLORS, DARK_MODEL_COLORS, MODEL_COLORS, MOST_RUNS, color_number
from segshift.report.content import Report, ReportedRun
from segshift.report.drawings.strips import entropy_colors
from segshift.report.figures import Chart

_LEVELS = {"patch": "patches", "class": "classes of images", "image": "whole images"}


def write_report(path: Path, report: Report) -> None:
    """Write the report to `path`, atomically; equal reports give equal bytes.

    Raises:
        InputError: no run, more than eight, runs of one name, or maps of other sizes than their images.
    """
    files.write_text(path, render(report))


def render(report: Report) -> str:
    """The page as HTML text; raises InputError as `write_report` does."""
    _check(report)
    runs = report.runs
    return render_template(
        "report.html.j2",
        report=report,
        verdict=wording.verdict(runs),
        cards=_cards(runs),
        colors=[
            (MODEL_COLORS[number], DARK_MODEL_COLORS[number])
            for number in map(color_number, range(max(COLORS, len(runs))))
        ],
        other_reasons=wording.other_reasons(report),
        reasons={
            name: wording.reasons(report, name)
            for name in ("scores", "pictures", "curves", "entropy", "distances", "retrieval", "embedding")
        },
        table=tables.results_table(runs),
        exports=_script(tables.exports(runs)),
        pictures=_script_text(layers.picture_data(report)) if report.shown else None,
        layer_choices=layers.layer_choices(report) if report.shown else [],
        first_layers=layers.first_layers(report) if report.shown else ("", ""),
        entropy_scale=_scale(),
        gains=_chart(charts.gains_chart(runs)),
        confusions=_charts(charts.confusion_charts(runs)),
        curves_by_run=[(name, _charts(found)) for name, found in line_charts.curves_by_run(runs)],
        curves_by_name=[(name, _charts(found)) for name, found in line_charts.curves_by_name(runs)],
        entropy=_chart(charts.entropy_chart(report)),
        distances=_charts(charts.distance_charts(report)),
        retrieval=_charts(line_charts.retrieval_charts(report)),
        retrieval_table=tables.map_table(report),
        embedding=_charts(embedding_charts.embedding_charts(report)),
        embedding_levels=[(level, _LEVELS[level]) for level in plots.embedding_levels(report.evidence)],
        embedding_classes=embedding_charts.class_colors(report, plots.embedded_classes(report.evidence)),
        differences=tables.recipe_differences(runs),
        confusion_scales=charts.SCALES,
        provenance=_grouped((run.name, _prose(run.provenance)) for run in runs),
        data=_grouped((run.name, _prose(run.data)) for run in runs),
        environments=_grouped((run.name, tables.listed(run.environment)) for run in runs),
        plotly=_script_text(plotly.offline.get_plotlyjs()),
    )


def _check(report: Report) -> None:
    names = [run.name for run in report.runs]
    if not names:
        raise InputError("report: no run; give one or more")
    if len(names) > MOST_RUNS:
        raise InputError(
            f"report: {len(names)} runs cannot be told apart in one chart; give at most {MOST_RUNS}"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"report: two runs are called {twice}; give every run a name of its own")


def _cards(runs: Sequence[ReportedRun]) -> list[dict[str, Any]]:
    """What the summary says of every run."""
    reach = max(
        (abs(end) for run in runs if run.gain is not None for end in (*run.gain.interval, run.gain.difference)
         if math.isfinite(end)),
        default=0.0,
    ) or 0.01  # fmt: skip
    return [_card(index, run, runs[0], reach) for index, run in enumerate(runs)]


def _card(index: int, run: ReportedRun, reference: ReportedRun, reach: float) -> dict[str, Any]:
    gain = run.gain
    return {
        "index": index,
        "name": run.name,
        "is_reference": run is reference,
        "method": run.method,
        "miou": None if run.result is None else percent(run.miou),
        "spread": "" if run.miou_spread is None else f"± {100 * run.miou_spread:.1f}",
        "training": f"{run.steps:,}".replace(",", " ")
        + f" step{'' if run.steps == 1 else 's'}, "
        + f"{counted(run.source_images_per_step, 'source image')} in each",
        "selected": run.selected,
        "folder": run.folder,
        "uses_target_labels": run.uses_target_labels is True,
        "unfair": gain is not None and bool(run.unfair),
        "warnings": wording.warnings(run),
        "advice": run.advice,
        "gain": None
        if gain is None
        else {
            "text": wording.points(gain.difference, 2),
            "interval": " to ".join(wording.points(end, 2) for end in gain.interval),
            "level": f"{100 * gain.level:.0f} %",
            "spread": "" if run.gain_spread is None else f" ± {100 * run.gain_spread:.2f}",
            "state": wording.state(gain),
            "left": _place(gain.interval[0], reach),
            "right": _place(gain.interval[1], reach),
            "dot": _place(gain.difference, reach),
            "hint": gain.verdict(reference.name, run.name),
        },
    }


def _place(difference: float, reach: float) -> str:
    """Where a gain stands on the scale of all cards, in percent of its width; 50 is no gain."""
    return f"{50 + 47 * difference / reach:.2f}" if math.isfinite(difference) else "50"


def _chart(chart: Chart | None) -> dict[str, Any] | None:
    return None if chart is None else {"view": chart, "json": _script_text(chart.to_json())}


def _charts(found: Sequence[Chart]) -> list[dict[str, Any] | None]:
    return [_chart(chart) for chart in found]


def _script(value: Any) -> Markup:
    return _script_text(script_json(value))


def _script_text(text: str) -> Markup:
    """The content of a script element, which HTML does not escape; a string in it may name its end."""
    return Markup(re.sub(r"<(?=/script|!--)", r"\\x3c", text, flags=re.IGNORECASE))


def _scale() -> str:
    """The colors of the entropy from 0 to 1 as a CSS gradient."""
    stops = map(hex_color, entropy_colors(np.linspace(0, 1, 9)))
    return f"linear-gradient(90deg, {', '.join(stops)})"


def _prose(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Settings for people: a list is a line per item, what lies deeper is YAML."""
    return [(str(key), _text(value)) for key, value in values.items() if value]


def _text(value: Any) -> str:
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str | int | float) for item in value):
        return "\n".join(str(item) for item in value)
    return dump_yaml(value, width=100).strip()


def _grouped(
    listed: Iterable[tuple[str, list[tuple[str, str]]]],
) -> list[tuple[str, list[tuple[str, str]]]]:
    """What is the same for several runs once, under their names; runs without any are left out."""
    groups: list[tuple[list[str], list[tuple[str, str]]]] = []
    for name, rows in listed:
        same = next((names for names, known in groups if known == rows), None)
        if same is None:
            groups.append(([name], rows))
        else:
            same.append(name)
    if len(groups) == 1 and len(groups[0][0]) > 1:
        groups[0][0][:] = ["all runs"]
    return [(", ".join(names), rows) for names, rows in groups if rows]
