"""`segshift predict`: label images with a trained model."""

from pathlib import Path

from rich.progress import track

from segshift.cli.commands.predict import Predict
from segshift.cli.inference import parse_inference, usable_device
from segshift.cli.output import console, print_json, results
from segshift.data.photos import Photos, find_photos
from segshift.data.resolve import is_data_set, locate
from segshift.data.survey import survey_images
from segshift.engine.prediction import Outputs, Predictor
from segshift.errors import InputError
from segshift.models import load
from segshift.plain import counted, say


def predict(options: Predict) -> None:
    """What `segshift predict` does."""
    inference = parse_inference(options)
    segmenter = load(options.checkpoint).to(usable_device(options.device))
    sets, photos = _split_arguments(options.paths)
    outputs = Outputs(options.ids, options.with_overlay, options.color, options.probabilities)
    # Labels of data sets are drawn on the pixels as they are stored.
    predictor = Predictor(
        segmenter, str(options.checkpoint), options.out, inference, outputs, upright=not sets
    )
    skip_bad, out = options.skip_bad, options.out
    named = _of_data_sets(sets, skip_bad, out) if sets else _usable(photos, skip_bad, out)
    predictor.begin(named)
    written = []
    broken = []
    for name, path in track(named.items(), "predicting", console=console, disable=not console.is_terminal):
        try:
            image = predictor.read(path)
        except InputError as error:
            # Damage behind a sound header; the other images are still wanted.
            if len(named) == 1:
                raise
            broken.append(str(error))
            say(console, f"left out: {error}")
            continue
        files = predictor.predict(name, image)
        written.append({"image": str(path), **{kind: str(file) for kind, file in files.items()}})
    drawn = predictor.write_legend()
    if options.as_json:
        print_json({"checkpoint": str(options.checkpoint), "legend": str(drawn), "predictions": written})
    else:
        say(results, f"{counted(len(written), 'image')} labelled in {options.out}")
    if broken and not options.skip_bad:
        raise InputError(f"{len(broken)} of {len(named)} images are left out, first {broken[0]}")


def _split_arguments(arguments: list[str]) -> tuple[list[str], list[Path]]:
    """Data sets, and photos. Raises InputError for both together."""
    sets = [one for one in arguments if is_data_set(one)]
    photos = [Path(one) for one in arguments if one not in sets]
    if sets and photos:
        raise InputError(
            f"predict: {sets[0]} is a data set, {photos[0]} is not, and EXIF orientations are applied to "
            "photos alone; predict them into two --out folders"
        )
    return sets, photos


def _of_data_sets(arguments: list[str], skip_bad: bool, out: Path) -> dict[str, Path]:
    """The images of splits by their stems, checked as `_usable` does."""
    named: dict[str, Path] = {}
    for argument in arguments:
        dataset, chosen = locate(argument)
        only = next(iter(dataset.spec.splits)) if len(dataset.spec.splits) == 1 else "val"
        for sample in dataset.split(chosen or only, labels="unused").samples:
            if sample.stem in named:
                raise InputError(
                    f"{sample.image} and {named[sample.stem]} would both be written as {sample.stem}; "
                    "predict them into two --out folders"
                )
            named[sample.stem] = sample.image
    folders = {image.parent for image in named.values()}
    if out.resolve() in {folder.resolve() for folder in folders}:
        raise InputError(
            f"{out}: holds images of the data set, to which results would be added; choose another --out"
        )
    return _usable(Photos(named), skip_bad, out)


def _usable(images: list[Path] | Photos, skip_bad: bool, out: Path) -> dict[str, Path]:
    """The images by the names of their results; all are looked at before the first is predicted.

    Raises:
        InputError: as `find_photos`, or an image that cannot be read, unless those are to be skipped.
    """

    photos = images if isinstance(images, Photos) else find_photos(images, out)
    for note in photos.notes:
        say(console, note)
    looked = survey_images(photos.named.values())
    if looked.errors and not skip_bad:
        more = f", and {counted(len(looked.errors) - 1, 'more image')}" if len(looked.errors) > 1 else ""
        raise InputError(f"{looked.errors[0]}{more} (or leave such images out: --skip-bad)")
    for line in looked.errors:
        say(console, f"left out: {line}")
    if looked.conversions:
        say(console, looked.conversions)
    if looked.turned and not isinstance(images, Photos):
        turned = counted(looked.turned, "image is", "images are")
        say(console, f"{turned} turned upright, as the EXIF orientation says")
    return {
        name: path
        for (name, path), one in zip(photos.named.items(), looked.facts, strict=True)
        if not one.error
    }
