"""Starting the service, keeping it, and ending it without leftovers."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segshift.models.inference_config import Inference
from segshift.models.segmenter import Segmenter
from segshift.serve.address import check_port
from segshift.serve.answers import Answers
from segshift.serve.examples import place_examples
from segshift.serve.guard import Guard
from segshift.serve.limits import Limits
from segshift.serve.seeing import Viewer
from segshift.serve.temporary import kept_tidy, temporary_folder

Login = tuple[str, str]
_PATIENCE_S = 10


@dataclass(frozen=True)
class Service:
    """How the page is offered.

    Attributes:
        host: the address that it listens at.
        port: the same.
        share: whether Gradio's tunnel makes it reachable from the internet.
        logins: (user, password) pairs; none lets everybody in who reaches the address.
        limits: of requests.
        inference: how the networks see images.
        examples: images and folders; None renders some where they fit the networks' classes.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    logins: tuple[Login, ...] = ()
    limits: Limits = field(default_factory=Limits)
    inference: Inference = field(default_factory=Inference)
    examples: tuple[Path, ...] | None = None


@dataclass(frozen=True)
class Running:
    """A service that answers.

    Attributes:
        address: of the page.
        public: its address on the internet, if it is shared.
        folder: of uploads and results.
    """

    address: str
    public: str | None
    folder: Path


@contextmanager
def serving(models: Mapping[str, Segmenter], service: Service) -> Iterator[Running]:
    """The page is there while the block runs; afterwards its folder is gone.

    Args:
        models: on the device where they shall run.
        service: how they are offered.

    Raises:
        InputError: the port is taken, or examples that cannot be read.
    """
    check_port(service.host, service.port)
    with temporary_folder() as folder, _own_settings(folder):
        # Gradio reads its settings from the environment when it is loaded, and later.
        from segshift.serve.page import build_page, style, theme

        viewer = Viewer(models, folder, service.inference, service.limits)
        examples = place_examples(service.examples, list(models.values()), folder)
        answers = Answers(viewer)
        page = build_page(answers, examples)
        with kept_tidy(folder, 2 * 60 * service.limits.keep_minutes):
            page.launch(
                server_name=service.host,
                server_port=service.port,
                share=service.share,
                auth=list(service.logins) or None,
                max_file_size=service.limits.upload_bytes,
                app_kwargs={"middleware": _guard(folder, service.limits)},
                theme=theme(),
                css=style(),
                footer_links=["api"],
                prevent_thread_lock=True,
                quiet=True,
                inbrowser=False,
                run_history=False,
                enable_monitoring=False,
                mcp_server=False,
                ssr_mode=False,
                pwa=False,
                num_workers=0,
            )
            try:
                yield Running(page.local_url, page.share_url, folder)
            finally:
                page.close(verbose=False)
                # A request that still works ends soon without its uploads; then it makes no new files.
                shutil.rmtree(folder, ignore_errors=True)
                answers.working.acquire(timeout=_PATIENCE_S)


def _guard(folder: Path, limits: Limits) -> list[Any]:
    from starlette.middleware import Middleware

    return [Middleware(Guard, folder=folder, limits=limits)]


@contextmanager
def _own_settings(folder: Path) -> Iterator[None]:
    """The environment in which options alone decide, nothing is reported, and no proxy stands before us."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("GRADIO_") and name != "GRADIO_ROOT_PATH":
            del os.environ[name]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_EXAMPLES_CACHE"] = str(folder / "examples_cache")
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [before.get(name), "127.0.0.1", "localhost"]))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
