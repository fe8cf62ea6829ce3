"""A translated copy of a data set, its labels kept: what CycleGAN's generator is for."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segshift import files
from segshift.config import Strict, parse
from segshift.data.augmentation import Augmentation
from segshift.data.dataset import Item, SegmentationDataset
from segshift.data.finder import Sample
from segshift.data.images import read_image
from segshift.data.resolve import resolve
from segshift.data.sampling import evenly, take_subset
from segshift.data.spec import Split
from segshift.data.writing import ImageFormat, SplitWriter, fingerprint, some_samples
from segshift.engine.cores import loader_processes, set_threads
from segshift.engine.loader import load, loader_faults
from segshift.engine.recipe import Recipe
from segshift.engine.signals import stop_on_signal
from segshift.errors import InputError, StoppedError
from segshift.folders import DatasetFolder
from segshift.models.resize import resize_images
from segshift.models.translators import ResnetGenerator, load_translator, translator_file
from segshift.pictures import strip
from segshift.plain import counted
from segshift.progress import SILENT, Progress
from segshift.ranges import Count
from segshift.sizes import HeightWidth, WidthHeight

RECORD = "translated.json"
CONTACT_STRIP = "translated.png"
_SHOWN = 4
_LOADER_TIMEOUT_S = 120


class TranslationConfig(Strict):
    """Settings of a translate stage.

    Attributes:
        translator: a run folder of `cyclegan` or its translator.safetensors; the stage before by default.
        size: (width, height) in px of the results; None takes the source's training resize, and where there
            is none each image's own size.
        format: of the images: jpeg (quality 95) or png.
        limit: number of images, evenly spread over the split; None takes all.
    """

    translator: str
    size: WidthHeight | None = None
    format: ImageFormat = "jpeg"
    limit: Count | None = None


@dataclass(frozen=True)
class Translated:
    """What became of a translation.

    Attributes:
        dataset: path of the new dataset.yaml.
        split: name of its only split.
        images: samples in it.
        made: how many of them were translated now; an earlier, interrupted call made the others.
        contact_strip: a PNG with some originals above their translations.
    """

    dataset: Path
    split: str
    images: int
    made: int
    contact_strip: Path


def run_translate_stage(
    recipe: Recipe, settings: dict[str, Any], folder: Path, progress: Progress, where: str
) -> None:
    """Translate the source of a recipe into a stage's folder.

    Only the main data set of the source is translated, not those under `also`.

    Args:
        recipe: whose `source` is translated.
        settings: see `TranslationConfig`.
        folder: of the stage; gets the dataset.yaml.
        progress: who hears how it goes.
        where: names the stage in messages.

    Raises:
        InputError: bad settings, no source, or as `translate_split`.
        StoppedError: as `translate_split`.
    """
    config = parse(TranslationConfig, settings, f"{where}, settings")
    if recipe.source.dataset is None or not recipe.has_source:
        raise InputError(f"{where}: no source images to translate; give --source or set source.dataset")
    set_threads(recipe.training.threads)
    outcome = translate_split(
        config.translator,
        take_subset(resolve(recipe.source.dataset, recipe.source.split), recipe.source.subset),
        folder,
        size=config.size or recipe.source.augmentation.resize,
        image_format=config.format,
        limit=config.limit,
        workers=loader_processes(recipe.training.workers, streams=1),
        progress=progress,
    )
    state = f"{counted(outcome.made, 'image')} translated" if outcome.made else "finished before"
    progress.say(f"{where}: {state}, in {folder}")


def translate_split(
    translator: str | Path,
    split: Split,
    out: Path,
    *,
    size: WidthHeight | None = None,
    image_format: ImageFormat = "jpeg",
    limit: int | None = None,
    workers: int = 0,
    device: torch.device | None = None,
    progress: Progress = SILENT,
) -> Translated:
    """Write a translated copy of a split, with its labels, as an ordinary data set.

    Long for its arguments; the work is one loop.

    Labels are resized as images are (nearest pixel) and written as train ids of the split's own classes.
    Every file is written atomically and dataset.yaml last; a second call translates only what is missing.

    Args:
        translator: a file of `save_translator`, or the run folder that holds it.
        split: what to translate; a split without labels gives one without.
        out: the new folder.
        size: (width, height) in px of the results; None keeps each image's size.
        image_format: jpeg or png.
        limit: number of images, evenly spread; None takes all.
        workers: processes that read; 0 reads in this one.
        device: where the translator runs; None takes a GPU if there is one.
        progress: who hears how far it is.

    Raises:
        InputError: no translator, an unreadable sample, or a folder that holds something else.
        StoppedError: Ctrl-C or SIGTERM; the next call goes on.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    samples = some_samples(split, limit)
    generator = load_translator(translator, device)
    folder = DatasetFolder(out, RECORD)
    settings = {
        "translator": hashlib.sha256(translator_file(translator).read_bytes()).hexdigest(),
        "data": split.title,
        "originals": fingerprint(samples),
        "size": size,
        "format": image_format,
    }
    with folder.claimed(settings):
        writer = SplitWriter(folder, split.name, image_format)
        missing = [sample for sample in samples if not _is_there(writer, sample, split.labelled)]
        bar = progress.bar(f"translating {split.title}", len(missing))
        with bar as advance, stop_on_signal() as stop, loader_faults("--workers"):
            items = zip(_read(split, missing, size, workers), missing, strict=True)
            for done, (item, sample) in enumerate(items, start=1):
                _translate(item, sample.stem, generator, writer, device)
                advance(1)
                if stop and done < len(missing):
                    raise StoppedError(stop.signal_number, done)
        contact = _contact_strip(writer, samples)
        dataset = writer.finish(
            [sample.stem for sample in samples],
            split.classes,
            name=f"{split.dataset}_translated",
            description=f"{split.title}, translated by a network",
            labelled=split.labelled,
        )
    return Translated(dataset, split.name, len(samples), len(missing), contact)


def _is_there(writer: SplitWriter, sample: Sample, labelled: bool) -> bool:
    label_there = not labelled or writer.label_path(sample.stem).is_file()
    return label_there and writer.image_path(sample.stem).is_file()


def _read(split: Split, samples: Sequence[Sample], size: WidthHeight | None, workers: int) -> Iterator[Item]:
    """The samples, resized, one at a time."""
    some = Split(split.dataset, split.name, split.classes, tuple(samples), split.decoder)
    dataset = SegmentationDataset(some, split.classes, Augmentation(resize=size), with_labels=split.labelled)
    return load(dataset, min(workers, len(samples)), _LOADER_TIMEOUT_S, batch_size=None)


def _translate(
    item: Item, stem: str, generator: ResnetGenerator, writer: SplitWriter, device: torch.device
) -> None:
    with torch.inference_mode():
        translated = generator.translate(item.image[None].to(device).float() / 255)[0]
    pixels = (translated.clamp(0, 1) * 255).round().to("cpu", torch.uint8)
    if item.label is not None:
        writer.write_label(stem, item.label.numpy())
    writer.write_image(stem, pixels.permute(1, 2, 0).contiguous().numpy())


def _contact_strip(writer: SplitWriter, samples: Sequence[Sample]) -> Path:
    """Some originals above their translations, at the translations' size."""
    originals, translations = [], []
    for sample in (samples[index] for index in evenly(len(samples), _SHOWN)):
        translated = read_image(writer.image_path(sample.stem))
        original = torch.from_numpy(read_image(sample.image, upright=sample.upright)).permute(2, 0, 1)
        original = resize_images(original, HeightWidth(translated.shape[:2]))
        originals.append((sample.stem, original.permute(1, 2, 0).contiguous().numpy()))
        translations.append(("translated", translated))
    path = writer.folder.path / CONTACT_STRIP
    with files.atomic_path(path) as temporary:
        strip([originals, translations]).save(temporary)
    return path
