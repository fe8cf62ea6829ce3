"""`segshift watch`: the runs below a folder while they train."""

from segshift.cli.commands.watch import Watch
from segshift.cli.output import console, print_json, results
from segshift.extras import module_of_extra
from segshift.plain import counted
from segshift.serve.address import LOOPBACK, wait_for_the_end
from segshift.terminal import say
from segshift.watch.state import Watch as Runs


def watch(options: Watch) -> None:
    """What `segshift watch` does."""
    states = Runs(options.folder).look()
    if options.as_json:
        print_json({"folder": str(options.folder), "runs": [one.to_dict() for one in states]})
        return
    # Its charts need plotly, which --json does without.
    server = module_of_extra("segshift.watch.server")
    if options.host not in LOOPBACK:
        say(console, "note: everybody who reaches the address sees the runs and their recipes")
    with server.serving(options.folder, options.host, options.port) as address:
        running = sum(one.state == "running" for one in states)
        what = f"{counted(len(states), 'run')}, {running} of them running" if states else "no run yet"
        say(results, f"{what}: {address}; Ctrl-C ends it")
        wait_for_the_end()
