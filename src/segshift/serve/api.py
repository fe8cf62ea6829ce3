"""The HTTP API: functions with types, which Gradio offers under /gradio_api and describes to clients."""

from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr
from gradio.events import api
from pydantic import Field

from segshift.config import Strict, parse
from segshift.ranges import Index
from segshift.serve.answers import Answers
from segshift.serve.many import label_files, label_video

_T = TypeVar("_T")
_Values = TypeVar("_Values", bound=Strict)


def add_api(answers: Answers, network: dict[str, Any]) -> None:
    """Add the functions to the page that is being built.

    Args:
        answers: what they answer.
        network: Gradio's settings for functions that work with the networks.
    """
    first = answers.names[0]

    def asked(answer: Callable[[], _T]) -> _T:
        try:
            with answers.working:
                return answer()
        except Exception as error:  # the boundary: a service goes on, and says what was wrong
            raise gr.Error(answers.problem(error), print_exception=False) from None

    def models() -> dict[str, Any]:
        """The networks with their classes and colors, and the limits of the service."""
        return answers.about()

    def predict(
        image: gr.FileData, model: str = first, opacity: float = 0.5
    ) -> tuple[gr.FileData, gr.FileData, dict[str, float]]:
        """The label PNG (train ids) and the overlay PNG of an image, and the shares of its classes."""
        label, overlay, shares = asked(
            lambda: answers.label(_path(image), model, _checked(_Opacity, opacity=opacity).opacity)
        )
        return _file(label), _file(overlay), shares

    def pixel(image: gr.FileData, x: int, y: int, model: str = first) -> dict[str, float]:
        """The probability of every class at a pixel, counted from the upper left corner."""

        def answer() -> dict[str, float]:
            pixel = _checked(_Pixel, x=x, y=y)
            return answers.viewer.pixel(_path(image), model, pixel.x, pixel.y)

        return asked(answer)

    def batch(files: list[gr.FileData], model: str = first) -> tuple[gr.FileData, list[str]]:
        """A ZIP with labels and overlays of images and videos, and a line for each file that is left out."""
        archive = asked(lambda: label_files(answers.viewer, [_path(file) for file in files], model))
        return _file(archive.path), list(archive.left_out)

    def video(video: gr.FileData, model: str = first) -> tuple[gr.FileData, gr.FileData]:
        """The overlay (MP4) and the train ids of every frame (MKV, FFV1) of a video."""
        files = asked(lambda: label_video(answers.viewer, _path(video), model))
        return _file(files["overlay"]), _file(files["label"])

    api(models, api_name="models", queue=False)
    for function in (predict, pixel, batch, video):
        api(function, api_name=function.__name__, **network)


class _Pixel(Strict):
    x: Index
    y: Index


class _Opacity(Strict):
    opacity: float = Field(ge=0, le=1)


def _checked(kind: type[_Values], **values: Any) -> _Values:
    """Clients may send anything. Raises InputError."""
    return parse(kind, values, "request")


def _path(file: Any) -> str:
    return str(file["path"] if isinstance(file, dict) else file.path)


def _file(path: Any) -> Any:
    return gr.FileData(path=str(path), orig_name=path.name)
