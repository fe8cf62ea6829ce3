"""`segshift sweep`: mIoU against the settings of a recipe."""

from statistics import fmean

from rich.table import Table

from segshift.cli.arguments import parse_seeds
from segshift.cli.commands.sweep import Sweep
from segshift.cli.inference import train_on
from segshift.cli.output import console, print_json, progress, results
from segshift.engine.comparison import spread
from segshift.engine.sweep import RANKING_SCORE, SweepResult, in_words, parse_grid, run_sweep, settings_words
from segshift.errors import StoppedError
from segshift.evaluation import percent
from segshift.files import write_json, write_text
from segshift.plain import markdown_cell
from segshift.report.drawings.lines import draw_sweep
from segshift.report.wording import spread_words
from segshift.terminal import say


def sweep(options: Sweep) -> None:
    """What `segshift sweep` does."""
    out = options.out
    train_on(options.device)
    grid = parse_grid(options.assignments)
    try:
        found = run_sweep(options.recipe, grid, parse_seeds(options.seeds), out, progress, options.fixed)
    except StoppedError as stop:
        say(console, f"{stop}. The same command goes on from there.")
        raise
    write_json(out / "sweep.json", found.to_dict())
    write_text(out / "sweep.md", markdown(found))
    count = len(found.seeds)
    band = f"band: ± one standard deviation over {count} seeds" if count > 1 else f"seed {found.seeds[0]}"
    drawn = any(row.scores for row in found.rows)
    if drawn:
        subtitle = f"{found.name}, on {found.evaluated_on};\n{band}"
        draw_sweep(out / "sweep", found.swept[0], found.lines(), subtitle, found.adversary_lines())
    if options.as_json:
        print_json({**found.to_dict(), "table": str(out / "sweep.md"), "curve": str(out / "sweep.png")})
        return
    results.print(_table(found))
    chosen = found.best_without_labels()
    if chosen is not None:
        say(results, f"best without labels, by {RANKING_SCORE}: {settings_words(chosen.values, found.swept)}")
    say(results, f"written to {out}: sweep.md, sweep.json" + (", sweep.png, sweep.svg" if drawn else ""))


def markdown(found: SweepResult) -> str:
    """The table for a document."""
    heading, *rows = [[markdown_cell(cell) for cell in line] for line in _cells(found)]
    lines = [heading, ["---"] * len(found.swept) + ["---:"] * (len(heading) - len(found.swept)), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _table(found: SweepResult) -> Table:
    heading, *rows = _cells(found)
    table = Table(title=f"{found.name} on {found.evaluated_on}: mIoU in %")
    for index, text in enumerate(heading):
        table.add_column(text, justify="left" if index < len(found.swept) else "right")
    best = found.best()
    for row, cells in zip(found.rows, rows, strict=True):
        table.add_row(*cells, style="bold green" if row is best else None)
    return table


def _cells(found: SweepResult) -> list[list[str]]:
    """The heading, then a line per combination: the swept values, the mean, every seed, the adversaries, and
    the label-free score.
    """
    several = len(found.seeds) > 1
    seeds = [f"seed {seed}" for seed in found.seeds] if several else []
    against = any(row.adversary_loss for row in found.rows)
    scored = any(row.label_free for row in found.rows)
    further = [*(["discriminators' loss"] if against else []), *([RANKING_SCORE] if scored else [])]
    lines = [[*found.swept, "mIoU", *seeds, *further]]
    for row in found.rows:
        mean = "diverged" if row.mean is None else spread_words(row.mean, spread(row.scores))
        per_seed = ["diverged" if score is None else percent(score) for score in row.miou.values()]
        if row.uses_target_labels:
            mean += " (uses target labels)"
        losses = list(row.adversary_loss.values())
        loss = [f"{fmean(losses):.3f}" if losses else "n/a"] if against else []
        value = row.label_free_mean(RANKING_SCORE)
        rank = ["n/a" if value is None else f"{value:.3f}"] if scored else []
        cells = [mean, *(per_seed if several else []), *loss, *rank]
        lines.append([*(in_words(row.values[key]) for key in found.swept), *cells])
    return lines
