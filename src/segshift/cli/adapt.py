"""`segshift adapt`: a trained network and unlabelled images, no others."""

import shlex

from rich.table import Table

from segshift.cli.arguments import parse_size
from segshift.cli.commands.adapt import Adapt
from segshift.cli.inference import train_on
from segshift.cli.output import console, print_json, progress, results
from segshift.engine import adapt as engine
from segshift.errors import StoppedError
from segshift.folders import RunFolder
from segshift.label_free_scores import SCORES
from segshift.terminal import say


def adapt(options: Adapt) -> None:
    """What `segshift adapt` does."""
    train_on(options.device)
    try:
        adapted = engine.adapt(
            options.model,
            options.photos,
            options.out,
            method=options.method,
            steps=options.steps,
            seed=options.seed,
            size=None if options.size is None else parse_size(options.size, "--size"),
            settings=options.assignments or (),
            resume=options.resume,
            skip_bad=options.skip_bad,
            progress=progress,
        )
    except StoppedError as stop:
        say(console, f"{stop}. To go on, the same command with --resume.")
        raise
    if options.as_json:
        print_json(adapted.to_dict())
    else:
        _print(adapted, options.photos)


def _print(adapted: engine.Adaptation, photos: list[str]) -> None:
    table = Table(title="label-free scores")
    table.add_column("score", no_wrap=True)
    for heading in ("before", "after", ""):
        table.add_column(heading, justify="right")
    for name, score in SCORES.items():
        if name in adapted.before and name in adapted.after:
            both = (f"{adapted.before[name]:.3f}", f"{adapted.after[name]:.3f}")
            chosen = " (decides)" if name == adapted.score else ""
            table.add_row(score.words + chosen, *both, "worse" if name in adapted.worse else "")
    results.print(table)
    if "target_miou" in adapted.before:
        before, after = (100 * scores["target_miou"] for scores in (adapted.before, adapted.after))
        say(results, f"mIoU on {adapted.results['evaluated_on']}: {before:.1f} before, {after:.1f} after")
    say(results, adapted.verdict)
    folder = str(adapted.folder)
    say(results, f"{'model':<11}{RunFolder(adapted.folder).model}")
    look = ["segshift", "predict", folder, *photos, "--out", "predictions"]
    say(results, f"{'look':<11}{shlex.join(look)}")
    say(results, f"{'report':<11}{shlex.join(['segshift', 'report', folder])}")
