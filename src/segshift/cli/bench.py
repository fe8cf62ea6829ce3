"""`segshift bench`."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from segshift.cli.arguments import parse_size
from segshift.cli.commands.bench import Bench
from segshift.cli.inference import train_on
from segshift.cli.output import print_json, progress, results
from segshift.engine.bench import BenchSettings, StepCost
from segshift.engine.bench import bench as measure
from segshift.engine.presets import load_recipe
from segshift.plain import counted, size_in_words


def bench(options: Bench) -> None:
    """What `segshift bench` does."""
    train_on(options.device)
    recipes = [load_recipe(name, options.assignments or []) for name in options.names]
    size = None if options.size is None else parse_size(options.size, "--size")
    costs = measure(recipes, BenchSettings(size, options.batch_size, options.rounds), progress)
    if options.as_json:
        print_json({"steps": [cost.to_dict() for cost in costs]})
    else:
        results.print(_table(costs))


def _table(costs: Sequence[StepCost]) -> Table:
    table = Table(
        caption="time and operations: s and GFLOP of a step, and x those of a step on source images alone by "
        "the same network, measured in turn (a row without any method shows the noise)",
    )
    table.add_column("a step of", overflow="fold")
    for heading in ("parameters", "time", "operations", "memory"):
        table.add_column(heading, justify="right")
    for cost in costs:
        width, height = cost.size
        images = counted(cost.batch_size, "image")
        table.add_row(
            Text(f"{cost.title}\n").append(f"{images} of {width}x{height} px", "dim"),
            f"{cost.parameters / 1e6:.3g} M",
            f"{cost.step_s:.3g} s\n{cost.time_factor:.2f} x",
            f"{cost.flops / 1e9:.3g}\n{cost.flop_factor:.2f} x",
            "not known" if cost.memory_bytes is None else size_in_words(cost.memory_bytes),
        )
    return table
