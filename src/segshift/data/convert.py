"""Converting one sample of a data set into a JPEG image and a PNG label, in a worker process."""

import io
import multiprocessing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from segshift import files
from segshift.data.augmentation import Augmentation
from segshift.data.dataset import read_pair
from segshift.data.decoder import LabelDecoder
from segshift.data.finder import Sample
from segshift.data.manifest import Entry, MadeFile, Original, hash_of, is_whole
from segshift.errors import InputError

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Job:
    """A sample to convert: its originals as the manifest has them, the files to write (no label without)."""

    sample: Sample
    source: tuple[Original, Original | None]
    image: Path
    label: Path | None


# What the workers need for every job; sent once per process instead of once per job.
_shared: dict[str, Any] = {}


def start_converting(decoder: LabelDecoder, resize: Augmentation) -> None:
    """Keep what `convert` needs for every job; called once in every process."""
    if multiprocessing.parent_process() is not None:
        # The workers share out the cores among themselves.
        torch.set_num_threads(1)
    _shared.update(decoder=decoder, resize=resize)


def is_done(job: Job, recorded: Entry | None) -> bool:
    """Whether an earlier run converted the same originals, and its files are whole."""
    if recorded is None or recorded.source != job.source or not is_whole(job.image, recorded.image):
        return False
    if job.label is None or recorded.label is None:
        return job.label is None and recorded.label is None
    return is_whole(job.label, recorded.label)


def convert(job: Job) -> Entry | str:
    """Read, resize and write one sample: its entry, or one line that says why it cannot be read.

    Raises:
        InputError: a file cannot be written.
    """
    decoder: LabelDecoder = _shared["decoder"]
    try:
        image, label = read_pair(job.sample, decoder, with_label=job.label is not None)
    except InputError as error:
        return str(error)
    image, label = _shared["resize"](image, label, None)
    pixels = Image.fromarray(image.permute(1, 2, 0).numpy())
    # 4:4:4: halved color resolution would blur colors over the labels' borders.
    made = _write(job.image, pixels, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    if label is None or job.label is None:
        return Entry(job.sample.stem, job.source, made, None, None)
    train_ids = label.numpy()
    counts = np.bincount(train_ids.ravel(), minlength=256)
    class_pixels = {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    # Level 1 decodes a fourth faster than the default level, and images dwarf the difference in size.
    made_label = _write(job.label, Image.fromarray(train_ids), format="PNG", compress_level=1)
    return Entry(job.sample.stem, job.source, made, made_label, class_pixels)


def _write(path: Path, picture: Image.Image, **settings: Any) -> MadeFile:
    stream = io.BytesIO()
    picture.save(stream, **settings)
    data = stream.getvalue()
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return hash_of(data)
