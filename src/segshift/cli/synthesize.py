"""`segshift data synthesize`: the procedural city as a data set."""

from segshift.city import synthesize
from segshift.cli.arguments import parse_size
from segshift.cli.commands.data import Synthesize
from segshift.cli.output import print_json, progress, results
from segshift.plain import counted
from segshift.terminal import say


def synthesize_city(options: Synthesize) -> None:
    """What `segshift data synthesize` does."""
    spec = synthesize(
        options.city.removeprefix("city:"),
        options.out,
        count=options.count,
        val=options.val,
        size=parse_size(options.size, "--size"),
        seed=options.seed,
        workers=options.workers,
        progress=progress,
    )
    if options.as_json:
        print_json(
            {
                "dataset": str(spec),
                "train": options.count,
                "val": options.val,
                "size": options.size,
                "seed": options.seed,
            }
        )
    else:
        say(results, f"{options.count} + {counted(options.val, 'image')}; use them as {spec}")
