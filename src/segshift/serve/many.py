"""Many uploaded files at once as an archive, and videos as videos."""

import shutil
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segshift.engine.prediction import Predictor
from segshift.engine.video import Frame, predict_video
from segshift.errors import InputError
from segshift.evaluation.sidecar import train_id_sidecar
from segshift.files import write_text
from segshift.serve.limits import (
    Deadline,
    at_most_frames,
    check_uploaded_image,
    check_uploaded_video,
    is_video,
    uploaded,
)
from segshift.serve.seeing import Viewer
from segshift.serve.temporary import new_folder, without_folder

Tell = Callable[[int, int], None]
"""Hears how many files or frames are done, and of how many (0: nobody knows)."""


@dataclass(frozen=True)
class Archive:
    """What became of many files.

    Attributes:
        path: a ZIP with NAME_label.png and NAME_overlay.png of images, NAME_label.mkv and NAME_overlay.mp4 of
            videos, legend.png, predictions.json (what the values mean), and left_out.txt where something was.
        labelled: how many files have results.
        left_out: a line for each file that could not be read.
    """

    path: Path
    labelled: int
    left_out: tuple[str, ...]


def label_files(viewer: Viewer, files: Sequence[str], model: str, tell: Tell = lambda *_: None) -> Archive:
    """Predict uploaded images and videos into a ZIP.

    Raises:
        InputError: no files or too many, no such network, no file that can be read, or no time left.
    """
    limits, deadline = viewer.limits, viewer.limits.deadline()
    if not files:
        raise InputError("no files; choose images or videos first")
    if len(files) > limits.files:
        raise InputError(f"{len(files)} files are more than the limit of {limits.files}; send them in parts")
    folder = new_folder(viewer.folder)
    parts = folder / "parts"
    predictor = Predictor(viewer.model(model), model, parts, viewer.inference)
    left_out: list[str] = []
    try:
        train_id_sidecar(model, predictor.segmenter.classes, upright=True).claim(parts)
        named = _named(files)
        for index, (name, file) in enumerate(deadline.watch(named.items())):
            tell(index, len(named))
            try:
                _label(viewer, predictor, name, uploaded(file, viewer.folder, limits), deadline)
            except InputError as error:
                left_out.append(without_folder(error, viewer.folder))
        if len(left_out) == len(files):
            more = f", and {len(files) - 1} more" if len(files) > 1 else ""
            raise InputError(f"{left_out[0]}{more}")
        predictor.write_legend()
        if left_out:
            write_text(parts / "left_out.txt", "\n".join(left_out) + "\n")
        path = folder / "predictions.zip"
        # Pictures and videos are compressed already.
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for part in sorted(parts.iterdir()):
                archive.write(part, part.name)
    finally:
        shutil.rmtree(parts, ignore_errors=True)
    return Archive(path, len(files) - len(left_out), tuple(left_out))


def label_video(viewer: Viewer, video: str, model: str, tell: Tell = lambda *_: None) -> dict[str, Path]:
    """Predict an uploaded video: `overlay` is an MP4 for people, `label` an MKV of train ids without loss.

    Raises:
        InputError: no video by its content, frames that are too large or too many, or no time left.
    """
    file = uploaded(video, viewer.folder, viewer.limits)
    predictor = Predictor(viewer.model(model), model, new_folder(viewer.folder), viewer.inference)
    return _label_video(viewer, predictor, file.stem, file, viewer.limits.deadline(), tell)


def _label(viewer: Viewer, predictor: Predictor, name: str, file: Path, deadline: Deadline) -> None:
    if is_video(file):
        _label_video(viewer, predictor, name, file, deadline, lambda *_: None)
    else:
        check_uploaded_image(file, viewer.limits)
        predictor.predict(name, predictor.read(file))


def _label_video(
    viewer: Viewer, predictor: Predictor, name: str, file: Path, deadline: Deadline, tell: Tell
) -> dict[str, Path]:
    header = check_uploaded_video(file, viewer.limits)

    def walk(frames: Iterable[Frame]) -> Iterable[Frame]:
        for index, frame in enumerate(at_most_frames(frames, viewer.limits, deadline)):
            tell(index, header.frames)
            yield frame

    return predict_video(predictor, name, file, walk)


def _named(files: Sequence[str]) -> dict[str, str]:
    """The files by the names of their results: their stems, numbered where two are equal."""
    named: dict[str, str] = {}
    for file in files:
        stem = name = Path(file).stem
        count = 1
        while name in named:
            count += 1
            name = f"{stem}_{count}"
        named[name] = file
    return named
