"""Writing rendered scenes as an ordinary dataset: PNG pictures, PNG labels and a dataset.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from segshift import files
from segshift.city.scene import MAX_SIDE_PX, MIN_SIDE_PX, find_style, render
from segshift.errors import InputError
from segshift.folders import SPEC, DatasetFolder, check_file
from segshift.making import in_processes
from segshift.progress import SILENT, Progress

RENDERER_VERSION = 1
_SPLITS = ("train", "val")
# Seeds of the splits are interleaved: image k of split s gets seed * 2**32 + 2 * k + s, so no image is in
# both.
_SEED_STRIDE = 2**32


@dataclass(frozen=True)
class _Job:
    style: str
    seed: int
    size: tuple[int, int]
    image: Path
    label: Path


def synthesize(
    style: str,
    out: Path,
    *,
    count: int,
    val: int,
    size: tuple[int, int] = (480, 360),
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = SILENT,
    wait: bool = False,
) -> Path:
    """Render a dataset into a folder and return the path of its dataset.yaml.

    style: a name in STYLES. count, val: images of the splits train and val. size: (width, height) in px.
    workers: processes, None for one per core; 1 renders in this process. Rendering may be interrupted and
    started again: what is there is kept, and dataset.yaml is written last. wait: for another process that is
    rendering into the folder, instead of being refused.

    Workers are spawned: a script that calls this needs the usual `if __name__ == "__main__"` guard.

    Raises:
        InputError: unknown style, a number out of range, or a folder that holds a dataset made with other
        settings.
    """
    name = find_style(style).name
    _check(count, val, size, seed, workers)
    out = Path(out)
    settings = {
        "style": name,
        "seed": seed,
        "size": list(size),
        "train": count,
        "val": val,
        "renderer": RENDERER_VERSION,
    }
    folder = DatasetFolder(out, "city.json")
    with folder.claimed(settings, wait=wait):
        jobs = [
            job
            for job in _jobs(name, out, count, val, size, seed)
            if not (job.image.exists() and job.label.exists())
        ]
        for parent in {job.image.parent for job in jobs} | {job.label.parent for job in jobs}:
            parent.mkdir(parents=True, exist_ok=True)
        bar = progress.bar(f"rendering {name}", len(jobs))
        with bar as advance, closing(in_processes(_render_to_disk, jobs, workers)) as done:
            for _ in done:
                advance(1)
        return folder.finish(_spec(name, count, val), "Written by `segshift data synthesize`.")


def cached_dataset(
    style: str,
    *,
    count: int,
    val: int,
    size: tuple[int, int] = (480, 360),
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> Path:
    """The dataset.yaml of a rendered dataset in the cache, which is rendered at its first use.

    The cache is $SEGSHIFT_CACHE, or ~/.cache/segshift.

    Raises:
        InputError: as `synthesize`.
    """
    name = find_style(style).name
    _check(count, val, size, seed, workers)
    short = name.removeprefix("city:")
    root = files.cache_root()
    folder = root / "city" / f"{short}_{size[0]}x{size[1]}_{count}_{val}_{seed}_{RENDERER_VERSION}"
    spec = folder / SPEC
    if spec.exists():
        return spec
    check_file(spec)
    return synthesize(
        name,
        folder,
        count=count,
        val=val,
        size=size,
        seed=seed,
        workers=workers,
        progress=progress,
        wait=True,
    )


def _check(count: int, val: int, size: tuple[int, int], seed: int, workers: int | None) -> None:
    if count < 1 or val < 0:
        raise InputError(f"count={count}, val={val}: count must be at least 1 and val at least 0")
    if seed < 0:
        raise InputError(f"seed={seed}: must not be negative")
    if workers is not None and workers < 1:
        raise InputError(f"workers={workers}: must be at least 1")
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in size):
        raise InputError(f"size={size[0]}x{size[1]}: each side must be {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels")


def _jobs(style: str, out: Path, count: int, val: int, size: tuple[int, int], seed: int) -> Iterator[_Job]:
    for offset, (split, length) in enumerate(zip(_SPLITS, (count, val), strict=True)):
        for k in range(length):
            name = f"{k:06d}.png"
            own = seed * _SEED_STRIDE + 2 * k + offset
            yield _Job(style, own, size, out / "images" / split / name, out / "labels" / split / name)


def _render_to_disk(job: _Job) -> None:
    scene = render(job.style, job.seed, job.size)
    # Level 1 is several times faster than the default and hardly larger for noisy pictures.
    for path, picture in ((job.label, scene.label), (job.image, scene.image)):
        with files.atomic_path(path) as temporary:
            Image.fromarray(picture).save(temporary, format="PNG", compress_level=1)


def _spec(style: str, count: int, val: int) -> dict[str, Any]:
    lengths = dict(zip(_SPLITS, (count, val), strict=True))
    return {
        "name": style.replace(":", "-"),
        "license": "no restrictions (rendered by segshift)",
        "root": ".",
        "splits": {
            split: {"images": f"images/{split}/*.png", "labels": f"labels/{split}/{{stem}}.png"}
            for split in _SPLITS
            if lengths[split]
        },
        "classes": "cityscapes19",
        "labels": {"kind": "train_ids"},
    }
