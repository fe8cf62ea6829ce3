"""Predictions of many files: what is there already stays, and several processes share the rest."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from segshift.data.walk import is_video_name
from segshift.engine.prediction import Outputs, Predictor
from segshift.engine.processes import PATIENCE_S, Processes, watched
from segshift.engine.video import predict_video, video_files
from segshift.errors import InputError, OutputError
from segshift.files import remove_partials
from segshift.progress import SILENT, Progress


@dataclass(frozen=True)
class Done:
    """What a call left behind, of all processes together.

    Attributes:
        legend: the picture of the predicted classes.
        labelled: files with predictions.
        kept: those of them that were there already.
        left_out: files that could not be read.
    """

    legend: Path
    labelled: int
    kept: int
    left_out: int


def predict_files(
    predictor: Predictor,
    named: Mapping[str, Path],
    processes: Processes,
    left_out: Callable[[str], None],
    progress: Progress = SILENT,
) -> Done:
    """Predict files into the predictor's folder; of W processes the r-th takes every W-th file.

    An image whose results are there, made by the same network and settings, is not predicted again: after a
    kill, the same call goes on. A video starts again, since its file is whole or not there.

    Args:
        predictor: into the folder.
        named: images and videos by the names of their results.
        processes: those that share the files.
        left_out: called with one line about a file that cannot be read.
        progress: who hears how far this process is.

    Raises:
        InputError: as `Predictor.begin`; the only file cannot be read; scores that are not finite.
        OutputError: a result cannot be written.
        ProcessLostError: another process ended.
    """
    labelled = kept = bad = 0
    with watched(PATIENCE_S):
        _begin(predictor, named, processes)
        share = len(range(processes.rank, len(named), processes.count))
        with progress.bar("predicting", share) as advance:
            for name, path in islice(named.items(), processes.rank, None, processes.count):
                try:
                    if is_video_name(path.name):
                        predict_video(predictor, name, path)
                    elif predictor.finished(name, path):
                        kept += 1
                    else:
                        predictor.predict(name, predictor.read(path), path)
                    labelled += 1
                except OutputError:
                    # A full disk is no fault of an image, and the next one would meet it, too.
                    raise
                except InputError as error:
                    # Damage behind a sound header; the other files are still wanted.
                    if len(named) == 1:
                        raise
                    bad += 1
                    left_out(str(error))
                advance(1)
        counts = processes.total(predictor.pixels.new_tensor([labelled, kept, bad]))
        pixels = processes.total(predictor.pixels)
        legend = predictor.write_legend(pixels) if processes.main else predictor.folder / "legend.png"
        processes.wait()
    return Done(legend, *map(int, counts))


def written_files(
    predictor: Predictor, named: Mapping[str, Path]
) -> Iterator[tuple[Path, Mapping[str, Path]]]:
    """Each file that has predictions, and these by kind."""
    for name, path in named.items():
        files_of = video_files if is_video_name(path.name) else Outputs.files
        files = files_of(predictor.outputs, predictor.folder, name)
        if files["label"].is_file():
            yield path, files


def _begin(predictor: Predictor, named: Mapping[str, Path], processes: Processes) -> None:
    """The main process claims the folder first; all are refused if it is."""
    refused = None
    if processes.main:
        try:
            predictor.begin(named)
            # What a killed call was writing; nobody else writes there yet.
            remove_partials(predictor.folder)
        except InputError as error:
            refused = error
    if processes.any(refused is not None):
        raise refused or InputError(f"{predictor.folder}: the main process was refused")
    if not processes.main:
        predictor.begin(named)
