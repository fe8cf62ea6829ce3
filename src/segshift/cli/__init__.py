"""The command line: parse, call, print. `segshift --help` lists the commands."""

import io
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import typer

from segshift.cli import (
    analyze,
    compare,
    data,
    diagnose,
    doctor,
    evaluate,
    health,
    import_weights,
    presets,
    pseudo_label,
    report,
    sweep,
    train,
    use,
)
from segshift.cli.output import SILENT, complain, console
from segshift.cli.quiet import with_quiet
from segshift.errors import FormerNameWarning, InputError, NonFiniteError, ProcessLostError, StoppedError
from segshift.making import stop_signals
from segshift.plain import say
from segshift.version import __version__

app = typer.Typer(
    name="segshift",
    help="Adapt semantic-segmentation networks from a labelled source domain to unlabelled images of yours.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(compare.demo)
app.command("train")(train.train)
app.command("compare")(compare.compare)
app.command("sweep")(sweep.sweep)
app.command("evaluate")(evaluate.evaluate)
app.command("diagnose")(diagnose.diagnose)
app.command("analyze")(analyze.analyze)
app.command("report")(report.report)
app.command("predict")(use.predict)
app.command("import-weights")(import_weights.import_weights)
app.command("doctor")(doctor.doctor)
app.command("health")(health.health)
data.app.command("pseudo-label")(pseudo_label.pseudo_label)
app.add_typer(data.app, name="data")
app.add_typer(presets.app, name="presets")


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        typer.echo(f"segshift {__version__}")
        raise typer.Exit()
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit()


class _Ended(BaseException):
    """A signal asked a command to end that has nothing to save."""


def _end(number: int, frame: FrameType | None) -> None:
    raise _Ended(number)


def _show_warning(usual: Callable[..., None]) -> Callable[..., None]:
    def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
        if issubclass(category, FormerNameWarning):
            say(console, f"note: {message}")
        else:
            usual(message, category, *place)

    return show


def main() -> None:
    """Entry point: bad input ends with one line and status 2, a stop with 128 + signal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name need not be text (an old archive's in Latin-1), and is still printed.
        sys.stdout.reconfigure(errors="backslashreplace")
    # Larger images are refused by a limit of our own, in one line.
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
    warnings.showwarning = _show_warning(warnings.showwarning)
    for number in set(stop_signals()) - {signal.SIGINT}:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)
    console.quiet = SILENT
    try:
        with_quiet(app)()
    except _Ended as ended:
        complain("stopped", f"by {signal.Signals(ended.args[0]).name}; what is written is whole")
        sys.exit(128 + ended.args[0])
    except InputError as error:
        complain("error", str(error))
        sys.exit(2)
    except StoppedError as stop:
        sys.exit(128 + stop.signal_number)
    except (NonFiniteError, ProcessLostError) as error:
        complain("stopped", str(error))
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        # The last net: outputs are tried before the work, and what is read has messages of its own.
        where = "" if error.filename is None else f"{error.filename}: "
        complain("error", f"{where}cannot be read or written ({error.strerror or error})")
        sys.exit(2)
