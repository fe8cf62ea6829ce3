"""A network's predictions of a video as videos, frame by frame."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from segshift.engine.prediction import TRAIN_IDS, Outputs, Predictor
from segshift.errors import InputError
from segshift.files import atomic_path
from segshift.models.batch_norm import evaluating
from segshift.pictures import colorize, overlay
from segshift.sizes import HeightWidth

if TYPE_CHECKING:
    import av

_RATE = Fraction(25)
"""Frames per second of a video that does not say it."""
# Visually close to lossless; colored regions have hard edges, which stronger compression smears.
_QUALITY = {"crf": "18"}
_MICROSECONDS = 1_000_000  # FFmpeg's unit of a container's duration
# Playlists (HLS, DASH, concat) name other files and addresses, which nobody meant when they gave a video.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo"
_ONLY_THIS_FILE = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}

Frame = tuple[Any, NDArray[np.uint8]]
"""A frame of PyAV's, and its pixels (H, W, 3) uint8 RGB, upright."""


@dataclass(frozen=True)
class VideoHeader:
    """What a video says before it is decoded: its size in px, how many frames (0: it does not say)."""

    width: int
    height: int
    frames: int


def check_video(path: Path) -> VideoHeader:
    """The header. Raises InputError for a file that is no video, or without the package that reads videos."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        context, seconds = stream.codec_context, float(container.duration or 0) / _MICROSECONDS
        frames = stream.frames or round(seconds * float(stream.average_rate or 0))
        return VideoHeader(context.width, context.height, frames)


def predict_video(
    predictor: Predictor, name: str, path: Path, walk: Callable[[Iterable[Frame]], Iterable[Frame]] = iter
) -> dict[str, Path]:
    """Write a video's files and return them by kind; each is there whole or not at all.

    NAME_label.mkv holds the train ids of every frame, without loss (FFV1, 8-bit grey). NAME_overlay.mp4 and
    NAME_color.mp4 (H.264) are those of `Outputs`. Frames keep their times; sound is left out. A frame of an
    odd side is repeated by one column or row in the H.264 files, which need even ones.

    Args:
        predictor: into the folder.
        name: of the files.
        path: of the video.
        walk: passes the frames on, for a progress bar or a limit.

    Raises:
        InputError: no video, damage in it, outputs that videos do not have, or scores that are not finite.
    """
    outputs, classes = predictor.outputs, predictor.segmenter.classes
    if outputs.probabilities or outputs.ids != TRAIN_IDS:
        raise InputError(
            f"{path}: videos get train ids and pictures; leave out --probabilities and --ids, or give images"
        )
    files = video_files(outputs, predictor.folder, name)
    with _Writers(files) as writers:
        for frame, pixels in walk(_frames(path)):
            label = _ids(predictor, pixels)
            predictor.count(label)
            pictures = {"label": label}
            if outputs.color:
                pictures["color"] = colorize(label, classes)
            if outputs.overlay:
                pictures["overlay"] = overlay(pixels, label, classes)
            writers.write(frame, pictures)
        if not writers.begun:
            raise InputError(f"{path}: holds no frame that can be read")
    return files


def video_files(outputs: Outputs, folder: Path, name: str) -> dict[str, Path]:
    """The kinds and paths of a video's files."""
    pictures = [*(["overlay"] if outputs.overlay else []), *(["color"] if outputs.color else [])]
    return {
        "label": folder / f"{name}_label.mkv",
        **{kind: folder / f"{name}_{kind}.mp4" for kind in pictures},
    }


def _ids(predictor: Predictor, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    segmenter = predictor.segmenter
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(segmenter.device)
    with evaluating(segmenter), torch.inference_mode():
        found = predictor.inference.ids([segmenter], images, HeightWidth(pixels.shape[:2]))
    ids: NDArray[np.uint8] = found[0].cpu().numpy()
    return ids


@contextmanager
def _opened(path: Path) -> Iterator["av.container.InputContainer"]:
    try:
        import av
    except ImportError:
        raise InputError(f"{path}: reading videos needs PyAV; pip install segshift[video]") from None
    try:
        with av.open(str(path), options=_ONLY_THIS_FILE) as container:
            if not container.streams.video:
                raise InputError(f"{path}: holds no video stream; give a video or images")
            container.streams.video[0].thread_type = "AUTO"
            yield container
    except av.FFmpegError as error:
        raise InputError(f"{path}: cannot be read as a video ({error.strerror}); replace the file") from None


def _frames(path: Path) -> Iterator[Frame]:
    with _opened(path) as container:
        for frame in container.decode(video=0):
            pixels = frame.to_ndarray(format="rgb24")
            yield frame, np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))


class _Writers:
    """The result videos of one input, opened when the size of its first frame is known."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._files, self._stack = files, ExitStack()
        self._open: dict[str, tuple[Any, Any]] = {}
        self._size: tuple[int, ...] = ()

    @property
    def begun(self) -> bool:
        """Whether there was a frame."""
        return bool(self._open)

    def __enter__(self) -> "_Writers":
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            if error[0] is None:
                for container, stream in self._open.values():
                    container.mux(stream.encode(None))
                    container.close()
        except BaseException as late:
            self._stack.__exit__(type(late), late, late.__traceback__)
            raise
        self._stack.__exit__(*error)

    def write(self, frame: Any, pictures: dict[str, NDArray[np.uint8]]) -> None:
        """Append one frame to every video, at the frame's time."""
        import av

        if not self._open:
            self._size = pictures["label"].shape
            for kind, path in self._files.items():
                self._open[kind] = self._new(kind, self._stack.enter_context(atomic_path(path)), frame)
        if pictures["label"].shape != self._size:
            raise InputError("the frames of the video change their size; split it where they do")
        for kind, (container, stream) in self._open.items():
            grey = kind == "label"
            picture = pictures[kind] if grey else _even(pictures[kind])
            coded = av.VideoFrame.from_ndarray(picture, format="gray" if grey else "rgb24")
            coded.pts, coded.time_base = frame.pts, frame.time_base
            container.mux(stream.encode(coded))

    def _new(self, kind: str, path: Path, frame: Any) -> tuple[Any, Any]:
        import av

        grey = kind == "label"
        container = av.open(str(path), "w", format="matroska" if grey else "mp4")
        self._stack.callback(container.close)
        stream: Any = container.add_stream(
            "ffv1" if grey else "libx264", rate=_RATE, options={} if grey else _QUALITY
        )
        stream.pix_fmt = "gray" if grey else "yuv420p"
        height, width = self._size if grey else (side + side % 2 for side in self._size)
        stream.height, stream.width = height, width
        stream.codec_context.time_base = frame.time_base
        return container, stream


def _even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
