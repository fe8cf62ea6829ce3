"""`segshift serve`: trained networks as a web page and an HTTP API."""

from segshift.cli.commands.seeing import parse_inference
from segshift.cli.commands.serve import Serve
from segshift.cli.inference import usable_device
from segshift.cli.output import console, print_json, results, working
from segshift.errors import InputError
from segshift.folders import captions
from segshift.models import load
from segshift.plain import counted
from segshift.serve.address import LOOPBACK, wait_for_the_end
from segshift.serve.limits import Limits
from segshift.serve.logins import read_logins
from segshift.serve.memory import give_back_freed_memory
from segshift.serve.server import Service, serving
from segshift.terminal import say


def serve(options: Serve) -> None:
    """What `segshift serve` does."""
    names = captions(options.runs)
    if len(set(names)) < len(names):
        raise InputError(f"{options.runs[0]}: the same network is given twice; give each once")
    limits = Limits(
        upload_mb=options.max_upload_mb,
        megapixels=options.max_megapixels,
        files=options.max_files,
        frames=options.max_frames,
        queue=options.queue,
        timeout_s=options.timeout,
        keep_minutes=options.keep_minutes,
    )
    service = Service(
        host=options.host,
        port=options.port,
        share=options.share,
        logins=read_logins(options.auth_file),
        limits=limits,
        inference=parse_inference(options),
        examples=None if options.examples is None else tuple(options.examples),
    )
    give_back_freed_memory()
    device = usable_device(options.device)
    with working("loading"):
        models = {name: load(run).to(device) for name, run in zip(names, options.runs, strict=True)}
    if not service.logins and (service.share or service.host not in LOOPBACK):
        say(console, "note: everybody who reaches the address may use it; --auth-file asks for a password")
    with serving(models, service) as running:
        if options.as_json:
            print_json({"address": running.address, "public": running.public, "models": names})
        else:
            public = f" and {running.public}" if running.public else ""
            what = counted(len(names), "network")
            say(results, f"{what} at {running.address}{public}; Ctrl-C ends the service")
        wait_for_the_end()
    say(console, "ended; uploads and results are removed")
