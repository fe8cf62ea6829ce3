"""The command line: parse, call, print. `segshift --help` lists the commands."""

import io
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar

import typer

from segshift.cli.command import LazyGroup
from segshift.cli.output import SILENT, complain, console, progress
from segshift.errors import (
    FormerNameWarning,
    InputError,
    NonFiniteError,
    ProcessLostError,
    StoppedError,
    is_out_of_memory,
)
from segshift.extras import missing
from segshift.making import stop_signals
from segshift.progress import LISTENER
from segshift.terminal import say
from segshift.version import __version__


class _Commands(LazyGroup):
    homes: ClassVar = {
        "demo": "segshift.cli.commands.compare:Demo",
        "train": "segshift.cli.commands.train:Train",
        "adapt": "segshift.cli.commands.adapt:Adapt",
        "compare": "segshift.cli.commands.compare:Compare",
        "sweep": "segshift.cli.commands.sweep:Sweep",
        "evaluate": "segshift.cli.commands.evaluate:Evaluate",
        "diagnose": "segshift.cli.commands.diagnose:Diagnose",
        "analyze": "segshift.cli.commands.analyze:Analyze",
        "report": "segshift.cli.commands.report:Report",
        "predict": "segshift.cli.commands.predict:Predict",
        "serve": "segshift.cli.commands.serve:Serve",
        "export": "segshift.cli.commands.export:Export",
        "import-weights": "segshift.cli.commands.import_weights:ImportWeights",
        "bench": "segshift.cli.commands.bench:Bench",
        "doctor": "segshift.cli.commands.doctor:Doctor",
        "health": "segshift.cli.commands.health:Health",
        "watch": "segshift.cli.commands.watch:Watch",
    }


class _DataCommands(LazyGroup):
    homes: ClassVar = {
        "init": "segshift.cli.commands.data_init:InitData",
        "patch-modes": "segshift.cli.commands.patch_modes:PatchModes",
        "prepare": "segshift.cli.commands.prepare:Prepare",
        "translate": "segshift.cli.commands.translate:Translate",
        "list": "segshift.cli.commands.data:ListData",
        "show": "segshift.cli.commands.data:ShowData",
        "check": "segshift.cli.commands.data:CheckData",
        "synthesize": "segshift.cli.commands.data:Synthesize",
        "pseudo-label": "segshift.cli.commands.pseudo_label:PseudoLabel",
    }


class _PresetCommands(LazyGroup):
    homes: ClassVar = {
        "list": "segshift.cli.commands.presets:ListPresets",
        "show": "segshift.cli.commands.presets:ShowPreset",
    }


app = typer.Typer(
    cls=_Commands,
    name="segshift",
    help="Adapt semantic-segmentation networks from a labelled source domain to unlabelled images of yours.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _group, _help in (
    ("data", _DataCommands, "List, check and make data sets."),
    ("presets", _PresetCommands, "Recipes that come with segshift."),
):
    app.add_typer(typer.Typer(cls=_group, no_args_is_help=True, help=_help), name=_name)


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
    LISTENER.set(progress)
    try:
        app()
    except _Ended as ended:
        complain("stopped", f"by {signal.Signals(ended.args[0]).name}; what is written is whole")
        sys.exit(128 + ended.args[0])
    except InputError as error:
        complain("error", str(error))
        sys.exit(2)
    except ImportError as error:
        answer = missing(error)
        if answer is None:
            raise
        complain("error", str(answer))
        sys.exit(2)
    except StoppedError as stop:
        sys.exit(128 + stop.signal_number)
    except (NonFiniteError, ProcessLostError) as error:
        complain("stopped", str(error))
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        complain("error", f"memory ran out ({str(error).splitlines()[0]}); lower --size or the batch size")
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        # The last net: outputs are tried before the work, and what is read has messages of its own.
        where = "" if error.filename is None else f"{error.filename}: "
        complain("error", f"{where}cannot be read or written ({error.strerror or error})")
        sys.exit(2)
