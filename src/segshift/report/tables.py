"""The report's tables: scores in the papers' style, mean average precision, differences of recipes."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from segshift.documents import parse_yaml_value
from segshift.errors import InputError
from segshift.evaluation import format_results, percent
from segshift.evaluation.table import class_captions
from segshift.report.content import Report, ReportedRun
from segshift.report.wording import NOTHING, points, state

FULL_TINT = 0.10
"""The gain in mIoU at which its cell has the full tint."""

_LABELS = ("name", "description", "provenance")
"""What a recipe says about itself; it is no setting."""

_NONE = {"text": NOTHING, "value": "", "best": False}


def results_table(runs: Sequence[ReportedRun]) -> dict[str, Any] | None:
    """A row per scored run; mIoU and gain first, then a column per class. None without any score.

    The papers have the means last, and so do the copies; on a page they would be out of sight.
    """
    scored = [(run, run.result) for run in runs if run.result is not None]
    if not scored:
        return None
    first = scored[0][1]
    starred = first.miou_star is not None
    means = ["mIoU", *(["mIoU*"] if starred else [])]
    columns = [*means, *class_captions(first)]
    rows = []
    for number, (run, result) in enumerate(scored):
        star = [run.mean(lambda one: math.nan if one.miou_star is None else one.miou_star)] if starred else []
        values = [run.miou, *star, *map(run.class_iou, result.scored_names)]
        rows.append(
            {
                "name": run.name,
                "index": runs.index(run),
                "place": number,
                "is_reference": run is runs[0],
                "uses_target_labels": run.uses_target_labels is True,
                "cells": [_cell(value) for value in values],
                "spread": "" if run.miou_spread is None else f"± {100 * run.miou_spread:.1f}",
                "gain": _gain_cell(run),
            }
        )
    _mark_best(rows, len(columns))
    return {
        "columns": columns,
        "means": len(means),
        "rows": rows,
        "has_gain": any(run.gain is not None for run, _ in scored),
        "has_unfair": any(run.gain is not None and run.unfair for run, _ in scored),
        "has_target_labels": any(row["uses_target_labels"] for row in rows),
        "has_star": starred,
        "missing": [run.name for run in runs if run.result is None],
        "seeds": _seed_rows(runs),
    }


def _seed_rows(runs: Sequence[ReportedRun]) -> list[dict[str, Any]]:
    """A row per run and seed, where there is more than one seed."""
    if all(len(run.seeds) < 2 for run in runs):
        return []
    return [
        {
            "name": run.name,
            "index": index,
            "seed": one.seed,
            "miou": percent(one.result.miou),
            "gain": NOTHING if one.gain is None else points(one.gain.difference, 2),
            "interval": NOTHING
            if one.gain is None
            else " to ".join(points(end, 2) for end in one.gain.interval),
            "state": NOTHING if one.gain is None else state(one.gain),
        }
        for index, run in enumerate(runs)
        for one in run.seeds
        if one.result is not None
    ]


def exports(runs: Sequence[ReportedRun]) -> dict[str, str]:
    """The same scores for a paper or a spreadsheet, as `segshift.evaluation.format_results` writes them."""
    results = {run.name: result for run in runs for result in run.results if len(run.results) == 1}
    for run in runs:
        for one in run.seeds if len(run.results) > 1 else ():
            if one.result is not None:
                results[f"{run.name}, seed {one.seed}"] = one.result
    if not results:
        return {}
    return {style: format_results(results, style) for style in ("md", "latex", "csv")}


def _cell(value: float) -> dict[str, Any]:
    return {"text": percent(value), "value": "" if math.isnan(value) else repr(float(value)), "best": False}


def _mark_best(rows: list[dict[str, Any]], columns: int) -> None:
    """Runs that saw target labels do not compete; what is equal in print is equally good."""
    competing = [row for row in rows if not row["uses_target_labels"]]
    for column in range(columns):
        cells = [row["cells"][column] for row in competing if row["cells"][column]["value"]]
        printed = [float(cell["text"]) for cell in cells]
        for cell, value in zip(cells, printed, strict=True):
            cell["best"] = len(printed) > 1 and value == max(printed) > min(printed)


def _gain_cell(run: ReportedRun) -> dict[str, Any]:
    if run.gain is None:
        return {**_NONE, "sign": "", "tint": "0", "unfair": False}
    difference = run.gain.difference
    text = points(difference)
    return {
        "text": text,
        "value": "" if math.isnan(difference) else repr(float(difference)),
        "sign": {"+": "up", "−": "down"}.get(text[0], ""),
        "tint": "0" if math.isnan(difference) else f"{45 * min(1.0, abs(difference) / FULL_TINT):.0f}",
        "unfair": bool(run.unfair),
    }


def map_table(report: Report) -> list[dict[str, str]]:
    """Mean average precision of the cross-domain retrieval, in percent, a row per run."""
    return [
        {
            "name": name,
            "source": percent(found.source_map),
            "target": percent(found.target_map),
            "pool": f"{found.pool_source} + {found.pool_target}",
        }
        for name, found in report.evidence.retrieval.items()
    ]


def recipe_differences(runs: Sequence[ReportedRun]) -> list[dict[str, Any]]:
    """The settings that are not the same in all runs, with every run's value.

    Returns:
        By key `key` and `cells`, each with its text and whether it differs from the first run's.
    """
    flat = [dict(_flatten(_parsed(run.recipe))) for run in runs]
    keys = sorted({key for one in flat for key in one if key.split(".")[0] not in _LABELS}, key=_by_parts)
    found = []
    for key in keys:
        values = [one.get(key, NOTHING) for one in flat]
        if len(set(values)) > 1:
            cells = [{"text": value, "differs": value != values[0]} for value in values]
            found.append({"key": key, "cells": cells})
    return found


def listed(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Nested settings as (dotted key, text), for people."""
    return list(_flatten(dict(values)))


def _parsed(text: str) -> Any:
    try:
        return parse_yaml_value(text, "the recipe") or {}
    except InputError:
        # A recipe by hand may be no YAML; it is shown as it is and compared as a whole.
        return {"recipe": text}


def _flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys down to the scalars; a list of plain values is one value."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flatten(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for place, item in enumerate(value):
            yield from _flatten(item, f"{prefix}.{place}")
    else:
        yield prefix, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(item) for item in value)}]"
    return json.dumps(value, default=str)


def _by_parts(key: str) -> tuple[tuple[int, int | str], ...]:
    """Numbers in keys sort as numbers: terms.10 after terms.9."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in key.split("."))
