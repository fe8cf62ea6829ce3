"""`segshift health`: does a run show one of the well-known sick curves?"""

from pathlib import Path
from typing import Any

from segshift.cli.commands.health import Health
from segshift.cli.output import console, print_json, results
from segshift.engine.health import (
    Record,
    classes_at_zero,
    pseudo_label_advice,
    read_records,
    read_summary,
    replay,
)
from segshift.engine.pseudo_label_folder import SUMMARY
from segshift.errors import InputError
from segshift.folders import RunFolder, captions
from segshift.plain import counted
from segshift.report.drawings.loss_curves import draw_loss_curves
from segshift.terminal import say


def health(options: Health) -> None:
    """What `segshift health` does."""
    metrics: dict[str, list[Record]] = {}
    entries: list[dict[str, Any]] = []
    for run in options.runs:
        curves, labels = _files(run)
        for path in curves:
            metrics[str(path.parent)] = read_records(path)
            found = replay(metrics[str(path.parent)])
            advice = [{"step": step, **one.to_dict()} for step, one in found]
            dead, known = classes_at_zero(metrics[str(path.parent)])
            entry: dict[str, Any] = {"run": str(path.parent), "advice": advice}
            entries.append({**entry, "classes_at_zero": dead, "classes": known})
        for path in labels:
            advice = [{"step": None, **one.to_dict()} for one in pseudo_label_advice(read_summary(path))]
            entries.append({"run": str(path.parent), "advice": advice})
    if (chart := options.chart) is not None:
        stem = chart.with_suffix("") if chart.suffix in {".png", ".svg"} else chart
        names = captions([Path(folder) for folder in metrics])
        draw_loss_curves(stem, dict(zip(names, metrics.values(), strict=True)))
        say(console, f"curves  {stem}.png and {stem}.svg")
    if options.as_json:
        print_json({"runs": entries})
        return
    for entry in entries:
        zero = entry.get("classes_at_zero")
        if not entry["advice"]:
            nothing = "no curve" if zero else "nothing"
            well = "no step is recorded" if metrics.get(entry["run"]) == [] else f"{nothing} looks sick"
            say(results, f"{entry['run']}: {well}")
        if zero:
            of = counted(entry["classes"], "class", "classes")
            say(
                results,
                f"{entry['run']}: {len(zero)} of {of} at an IoU of 0.0 in the newest evaluation "
                f"({', '.join(zero)}); train longer, or look whether the source shows them "
                "(`segshift data check`)",
            )
        for one in entry["advice"]:
            where = "" if one["step"] is None else f" from step {one['step']} on"
            say(results, f"{entry['run']}{where}: {one['seen']}; {one['remedy']}")


def _files(run: Path) -> tuple[list[Path], list[Path]]:
    """The metrics.jsonl and pseudo_labels.json of a run and of its stages, in order."""
    folders = [RunFolder(path) for path in (run, *sorted(one for one in run.iterdir() if one.is_dir()))]
    curves = [folder.metrics for folder in folders if folder.metrics.is_file()]
    labels = [path for folder in folders if (path := folder.path / SUMMARY).is_file()]
    if not curves and not labels:
        raise InputError(f"{run}: has neither metrics.jsonl nor stages with one; give the folder of a run")
    return curves, labels
