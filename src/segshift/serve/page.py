"""The page: what is uploaded on the left, what the networks say of it on the right."""

from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from segshift.errors import InputError
from segshift.plain import counted, one_line
from segshift.serve.answers import IMAGE, Answers
from segshift.serve.api import add_api
from segshift.serve.many import label_files, label_video

# One request at a time works with the networks; the others wait in the queue.
_NETWORK: dict[str, Any] = {"concurrency_id": "network", "concurrency_limit": 1}
_FONTS = ("system-ui", "sans-serif")
_INTRODUCTION = (
    "# segshift\nUpload a photo, paste one, or take one with the camera. Drag the slider to compare; click "
    "on a pixel for the probabilities of its classes."
)


def theme() -> Any:
    """Fonts that the reader's machine has: nothing is loaded from elsewhere."""
    return gr.themes.Default(primary_hue="blue", font=_FONTS, font_mono=("ui-monospace", "monospace"))


def style() -> str:
    """The page's CSS."""
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def build_page(answers: Answers, examples: Sequence[Path]) -> Any:
    """The page, which can be launched.

    Args:
        answers: to what is asked.
        examples: images in the folder of uploads.
    """
    limits = answers.viewer.limits
    kept_s = 60 * limits.keep_minutes
    with gr.Blocks(title="segshift", analytics_enabled=False, delete_cache=(30, kept_s)) as page:
        gr.Markdown(_INTRODUCTION)
        with gr.Tab("Image"):
            _image_tab(answers, examples)
        with gr.Tab("Batch"):
            _files_tab(answers)
        with gr.Tab("Video"):
            _video_tab(answers)
        gr.Markdown(
            f"At most {limits.upload_mb} MB in an upload, {limits.megapixels} megapixels in an image, "
            f"{counted(limits.files, 'file')} in a batch, {counted(limits.frames, 'frame')} in a video. "
            f"Uploads and results are removed after {counted(limits.keep_minutes, 'minute')}.",
            elem_classes="quiet",
        )
        add_api(answers, _NETWORK)
    return page.queue(max_size=limits.queue)


def _image_tab(answers: Answers, examples: Sequence[Path]) -> None:
    """Long, since it lists what stands on the page."""
    names, choices = answers.names, [IMAGE, *answers.names]
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            photo = gr.Image(
                type="filepath",
                sources=["upload", "webcam", "clipboard"],
                label="Photo",
                height=280,
                buttons=["fullscreen"],
                elem_id="photo",
            )
            _take_unopened(photo)
            status = gr.HTML(elem_id="status", elem_classes="status")
            with gr.Row():
                left = _choice(choices, names[0] if len(names) > 1 else IMAGE, "Left")
                right = _choice(choices, names[1] if len(names) > 1 else names[0], "Right")
            opacity = gr.Slider(0, 1, 0.5, step=0.05, label="Opacity of the colors", elem_id="opacity")
            if examples:
                gr.Examples([str(path) for path in examples], photo, label="Examples", cache_examples=False)
        with gr.Column(scale=3, min_width=300):
            sides = gr.ImageSlider(
                label="Left | right", interactive=False, buttons=["fullscreen"], elem_id="compare"
            )
            with gr.Tab("Classes"):
                legend = gr.HTML("Upload a photo, or take an example.", elem_id="legend")
            with gr.Tab("Pixel"):
                point_at = _picture("Click on a pixel", "point")
                at_point = gr.HTML(elem_id="pixel")
            with gr.Tab("Entropy"):
                gr.Markdown("Black is sure, bright is not. Click for the probabilities.")
                maps = [_picture("Entropy", f"entropy-{index}") for index in range(min(2, len(names)))]
            with gr.Tab("Download"):
                gr.Markdown(
                    "Labels hold train ids, the numbers in the table of classes, so they look black; "
                    "overlays are for people."
                )
                files = gr.File(label="Label and overlay", file_count="multiple", interactive=False)
    outputs = [status, sides, point_at, *maps, legend, files, at_point]

    def see(path: str | None, left_name: str, right_name: str, alpha: float) -> list[Any]:
        if path is None:
            return [None] * len(outputs)
        found = answers.compare(path, left_name, right_name, alpha)
        pictures = [
            gr.Image(value=str(file), label=f"Entropy: {one_line(name)}", visible=True)
            for name, file in found.uncertainty.items()
        ]
        pictures += [gr.Image(value=None, visible=False)] * (len(maps) - len(pictures))
        both = (str(found.sides[0]), str(found.sides[1]))
        shown = gr.ImageSlider(value=both, label=f"{one_line(left_name)} | {one_line(right_name)}")
        return ["", shown, str(found.point_at), *pictures, found.legend, list(map(str, found.files)), ""]

    def point(path: str | None, left_name: str, right_name: str, event: gr.SelectData) -> list[Any]:
        if path is None:
            return ["", ""]
        return ["", answers.at_point(path, left_name, right_name, (event.index[0], event.index[1]))]

    asked = [photo, left, right]
    gr.on(
        [photo.change, left.change, right.change, opacity.release],
        _safe(answers, see, len(outputs)),
        [*asked, opacity],
        outputs,
        api_visibility="private",
        **_NETWORK,
    )
    gr.on(
        [picture.select for picture in (point_at, *maps)],
        _safe(answers, point, 2),
        asked,
        [status, at_point],
        api_visibility="private",
        **_NETWORK,
    )


def _files_tab(answers: Answers) -> None:
    with gr.Row():
        with gr.Column(min_width=300):
            files = gr.File(label="Images and videos", file_count="multiple", elem_id="files")
            model = _choice(answers.names, answers.names[-1], "Network")
            start = gr.Button("Label all", variant="primary")
        with gr.Column(min_width=300):
            status = gr.HTML(elem_id="files-status", elem_classes="status")
            archive = gr.File(label="ZIP", interactive=False, elem_id="archive")

    def label_all(paths: list[str] | None, name: str, progress: Any = gr.Progress()) -> list[Any]:
        done = label_files(answers.viewer, paths or [], name, _tell(progress, "files"))
        said = f"<p>{counted(done.labelled, 'file')} labelled</p>" + "".join(map(_error, done.left_out))
        return [said, str(done.path)]

    run = _safe(answers, label_all, 2)
    start.click(run, [files, model], [status, archive], api_visibility="private", **_NETWORK)


def _video_tab(answers: Answers) -> None:
    with gr.Row():
        with gr.Column(min_width=300):
            video = gr.File(label="Video", elem_id="video")
            model = _choice(answers.names, answers.names[-1], "Network")
            start = gr.Button("Label the video", variant="primary")
        with gr.Column(min_width=300):
            status = gr.HTML(elem_id="video-status", elem_classes="status")
            overlay = gr.Video(label="Overlay", interactive=False, elem_id="video-overlay")
            label = gr.File(label="Train ids of every frame (FFV1)", interactive=False)

    def label_frames(path: str | None, name: str, progress: Any = gr.Progress()) -> list[Any]:
        if path is None:
            raise InputError("no video; choose one first")
        done = label_video(answers.viewer, path, name, _tell(progress, "frames"))
        return ["", str(done["overlay"]), str(done["label"])]

    run = _safe(answers, label_frames, 3)
    start.click(run, [video, model], [status, overlay, label], api_visibility="private", **_NETWORK)


def _choice(choices: Sequence[str], value: str, label: str) -> Any:
    return gr.Dropdown(list(choices), value=value, label=label, min_width=120, interactive=True)


def _picture(label: str, name: str) -> Any:
    return gr.Image(label=label, interactive=False, buttons=["fullscreen"], elem_id=name)


def _take_unopened(photo: Any) -> None:
    """Gradio would open an image with Pillow, before its size and kind are judged, and end in a traceback."""
    photo.preprocess = lambda payload: None if payload is None else payload.path


def _tell(progress: Any, unit: str) -> Callable[[int, int], None]:
    return lambda done, total: progress((done, total or None), unit=unit)


def _safe(answers: Answers, function: Callable[..., list[Any]], outputs: int) -> Any:
    """A function for the page whose first output says in one line what went wrong; the rest is empty."""

    @wraps(function)  # Gradio looks for its own kinds of arguments
    def safe(*arguments: Any) -> list[Any]:
        try:
            with answers.working:
                return function(*arguments)
        except Exception as error:  # the boundary: a service goes on
            return [_error(answers.problem(error)), *[None] * (outputs - 1)]

    return safe


def _error(line: str) -> str:
    return f"<p class='problem' role='alert'>{escape(one_line(line))}</p>"
