"""`segshift predict`: label images with a trained model."""

from segshift.cli.commands.predict import Predict
from segshift.cli.commands.seeing import parse_inference
from segshift.cli.inference import joined_processes
from segshift.cli.output import console, print_json, progress, results
from segshift.cli.predicted_files import files_of_data_sets, split_arguments, usable_files
from segshift.data.walk import is_video_name
from segshift.engine.predict_files import predict_files, written_files
from segshift.engine.prediction import Outputs, Predictor
from segshift.errors import InputError
from segshift.models import load
from segshift.plain import counted
from segshift.progress import SILENT
from segshift.terminal import say


def predict(options: Predict) -> None:
    """What `segshift predict` does."""
    inference = parse_inference(options)
    processes = joined_processes(options.device)
    segmenter = load(options.checkpoint).to(processes.device)
    sets, photos = split_arguments(options.paths)
    outputs = Outputs(options.ids, options.with_overlay, options.color, options.probabilities)
    # Labels of data sets are drawn on the pixels as they are stored.
    predictor = Predictor(
        segmenter, str(options.checkpoint), options.out, inference, outputs, upright=not sets
    )
    broken: list[str] = []

    def hear(line: str) -> None:
        if processes.main:
            say(console, line)

    def left_out(line: str) -> None:
        broken.append(line)
        say(console, f"left out: {line}")

    skip_bad, out = options.skip_bad, options.out
    named = (
        files_of_data_sets(sets, skip_bad, out, hear) if sets else usable_files(photos, skip_bad, out, hear)
    )
    done = predict_files(predictor, named, processes, left_out, progress if processes.main else SILENT)
    if processes.main and options.as_json:
        written = [
            {"image": str(path), **{kind: str(file) for kind, file in files.items()}}
            for path, files in written_files(predictor, named)
        ]
        print_json(
            {"checkpoint": str(options.checkpoint), "legend": str(done.legend), "predictions": written}
        )
    elif processes.main:
        what = "file" if any(is_video_name(path.name) for path in named.values()) else "image"
        earlier = f" ({done.kept} of them by an earlier call)" if done.kept else ""
        say(results, f"{counted(done.labelled, what)} labelled in {out}{earlier}")
    if broken and not skip_bad:
        raise InputError(f"{done.left_out} of {len(named)} images are left out, first {broken[0]}")
