"""`segshift serve`: trained networks as a web page and an HTTP API."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from segshift.cli.commands.seeing import Seeing
from segshift.cli.early import check_models
from segshift.cli.options import Device
from segshift.errors import InputError
from segshift.serve.address import check_port
from segshift.serve.logins import read_logins


@dataclass(frozen=True)
class Serve(Seeing):
    """Show what networks see: a web page on this machine, with an HTTP API (docs/serve.md).

    Give two runs, for example the source-only and the adapted one, and the page compares them with a slider.
    Images, videos and batches are uploaded; nothing is loaded from the internet, nothing is reported
    anywhere, and what was uploaded is removed. Ctrl-C ends it.

    Logins: lines of USER:PASSWORD in --auth-file, or in the environment variable SEGSHIFT_SERVE_AUTH.

    Example: segshift serve runs/demo/control runs/demo/mean_teacher
    """

    work = "segshift.cli.serve:serve"

    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders or model files.")]
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0: other machines, too.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7860
    share: Annotated[
        bool, typer.Option("--share", help="Also a public address on the internet, by Gradio's tunnel.")
    ] = False
    auth_file: Annotated[
        Path | None, typer.Option(help="File with a line USER:PASSWORD for everybody who may use it.")
    ] = None
    examples: Annotated[
        list[Path] | None,
        typer.Option(help="Images, folders of them, to try it with; default: rendered streets if those fit."),
    ] = None
    device: Device = None
    max_upload_mb: Annotated[int, typer.Option(min=1, help="Of a file, or of all files of a batch.")] = 100
    max_megapixels: Annotated[int, typer.Option(min=1, max=150, help="Of an image or a video's frame.")] = 25
    max_files: Annotated[int, typer.Option(min=1, help="In one batch.")] = 100
    max_frames: Annotated[int, typer.Option(min=1, help="In one video.")] = 3000
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait; more are refused.")] = 32
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that one request may work.")] = 300
    keep_minutes: Annotated[int, typer.Option(min=1, help="How long uploads and results are kept.")] = 60

    def refuse(self) -> None:
        """Refuse what is missing, a port that is taken and logins that cannot be read. Raises InputError."""
        super().refuse()
        check_models(self.runs)
        if find_spec("gradio") is None:
            raise InputError('segshift serve: needs Gradio; pip install "segshift[serve]"')
        read_logins(self.auth_file)
        check_port(self.host, self.port)
