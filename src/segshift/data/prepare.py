"""Converting a data set once into files that load many times faster than the originals.

The result is an ordinary data set: JPEG images and PNG labels in folders, with a dataset.yaml. A run may be
killed and started again; what is recorded and whole is kept. `manifest` holds what is known of every file.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from segshift import files
from segshift.data.augmentation import Augmentation
from segshift.data.content import content_hashes
from segshift.data.convert import JPEG_QUALITY, Job, convert, is_done, start_converting
from segshift.data.manifest import (
    RECORD,
    Entry,
    Original,
    complete_splits,
    journal,
    list_path,
    made_paths,
    read_manifest,
    read_progress,
    write_manifest,
    write_root,
)
from segshift.data.resolve import locate
from segshift.data.spec import Dataset, Found, Split
from segshift.errors import InputError
from segshift.folders import DatasetFolder, check_names, check_stem
from segshift.making import cores, in_processes
from segshift.progress import SILENT, Progress

LAYOUT_VERSION = 2
OnError = Literal["stop", "skip"]


@dataclass(frozen=True)
class PreparedSplit:
    """What became of one split.

    Attributes:
        name: of the split.
        images: samples in the prepared split.
        labelled: whether they have labels.
        converted, kept: how many were made now, and how many an earlier run had made.
        skipped: one line per sample that was left out.
        original_bytes, prepared_bytes: size of the samples' files before and after.
    """

    name: str
    images: int
    labelled: bool
    converted: int
    kept: int
    skipped: tuple[str, ...]
    original_bytes: int
    prepared_bytes: int


@dataclass(frozen=True)
class _Plan:
    """What there is to do for a split: all its samples as jobs, and the entries that are done, by stem."""

    split: Split
    jobs: tuple[Job, ...]
    kept: dict[str, Entry]
    missing: tuple[str, ...]

    @property
    def open_jobs(self) -> list[Job]:
        return [job for job in self.jobs if job.sample.stem not in self.kept]


def prepare(
    argument: str,
    out: str | Path,
    *,
    size: tuple[int, int],
    splits: Sequence[str] = (),
    interpolation: Literal["bilinear", "bicubic"] = "bilinear",
    on_error: OnError = "stop",
    workers: int | None = None,
    progress: Progress = SILENT,
) -> tuple[PreparedSplit, ...]:
    """Convert a data set to JPEG images and PNG train-id labels of one size.

    Every file is written atomically. A second call keeps what is there, whole by its hash and made of the
    same original (path and content), and makes the rest; further splits may be added by a further call.
    Workers are spawned: a script that calls this needs the usual `if __name__ == "__main__"` guard.

    Args:
        argument: the data set, as `resolve` takes it.
        out: the folder of the prepared set; its `dataset.yaml` is written last.
        size: (width, height) in px of the results, resized as `Augmentation.resize` does.
        splits: those to convert; without any the one that the argument names, else all.
        interpolation: of the images, with anti-aliasing; labels take the nearest pixel.
        on_error: `stop` at the first bad file, or `skip` its sample and report it.
        workers: processes, None for one per core.
        progress: who hears how far it is.

    Returns:
        One report per split.

    Raises:
        InputError: a bad file with `stop`, no readable sample, a folder that holds a set of other settings,
            or anything that `resolve` refuses.
    """
    dataset, named = locate(argument)
    out = Path(out)
    if min(size) < 1:
        raise InputError(f"size = {size[0]}x{size[1]}: both sides must be at least 1 px")
    names = list(dict.fromkeys(splits)) or [named or ""]
    if names == [""]:
        names = list(dataset.spec.splits)
    check_names(names, f"{dataset.where}, split")
    found = {name: _find(dataset, name, on_error) for name in names}
    folder = DatasetFolder(out, RECORD)
    with folder.claimed(_settings(dataset, size, interpolation)):
        plans = [_plan(one, dataset.root, out, workers) for one in found.values()]
        jobs = [job for plan in plans for job in plan.open_jobs]
        resize = Augmentation(resize=size, interpolation=interpolation)
        bar = progress.bar(f"preparing {dataset.spec.name}", len(jobs))
        results = in_processes(
            convert, jobs, workers, start=start_converting, arguments=(dataset.decoder, resize)
        )
        with bar as advance, closing(results):
            reports = [_carry_out(plan, out, results, on_error, advance) for plan in plans]
            # The workers end by themselves once nothing is left, instead of being stopped.
            next(results, None)
        write_root(out, dataset.root)
        _write_spec(dataset, folder, size)
    return tuple(reports)


def _settings(dataset: Dataset, size: tuple[int, int], interpolation: str) -> dict[str, Any]:
    return {
        "layout": LAYOUT_VERSION,
        "dataset": dataset.spec.name,
        "size": list(size),
        "interpolation": interpolation,
        "jpeg_quality": JPEG_QUALITY,
        "classes": list(dataset.classes.names),
        "labels": dataset.spec.labels.model_dump(mode="json"),
    }


def _find(dataset: Dataset, name: str, on_error: OnError) -> Found:
    if on_error == "stop":
        found = Found(dataset.split(name, labels="optional"), (), ())
    else:
        found = dataset.find(name)
        if not found.split.samples and found.without_label:
            # No label at all is an unlabelled split, not a split of broken samples.
            found = Found(dataset.split(name, labels="optional"), found.without_image, ())
    for sample in found.split.samples:
        check_stem(sample.stem, f"{dataset.where}, split {name}")
    return found


def _plan(found: Found, root: Path, out: Path, workers: int | None) -> _Plan:
    split = found.split
    missing = [f"{one.image}: no such image, though the list names it" for one in found.without_image]
    missing += [f"{one.image}: has no label, expected {one.label}" for one in found.without_label]
    jobs = _jobs(split, root, out, workers)
    for folder in {path.parent for job in jobs for path in (job.image, job.label) if path is not None}:
        folder.mkdir(parents=True, exist_ok=True)
    recorded = read_progress(out, split.name)
    # Threads suffice: reading and hashing release the interpreter's lock.
    with ThreadPoolExecutor(workers or cores()) as pool:
        done = list(pool.map(lambda job: is_done(job, recorded.get(job.sample.stem)), jobs))
    kept = {
        job.sample.stem: recorded[job.sample.stem] for job, is_kept in zip(jobs, done, strict=True) if is_kept
    }
    return _Plan(split, tuple(jobs), kept, tuple(missing))


def _carry_out(
    plan: _Plan, out: Path, results: Iterator[Entry | str], on_error: OnError, advance: Callable[[int], None]
) -> PreparedSplit:
    split = plan.split
    entries, skipped = dict(plan.kept), list(plan.missing)
    for result in islice(results, len(plan.open_jobs)):
        if isinstance(result, Entry):
            entries[result.stem] = result
            journal(out, split.name).append(asdict(result))
        elif on_error == "stop":
            raise InputError(f"{result} (or leave such samples out: --skip-bad)")
        else:
            skipped.append(result)
        advance(1)
    if not entries:
        raise InputError(f"{split.title}: no sample could be read, the first: {skipped[0]}")
    in_order = [entries[job.sample.stem] for job in plan.jobs if job.sample.stem in entries]
    _finish_split(out, split.name, in_order, skipped, split.classes.names)
    made = [file for entry in in_order for file in (entry.image, entry.label) if file is not None]
    originals = [source for entry in in_order for source in entry.source if source is not None]
    return PreparedSplit(
        name=split.name,
        images=len(in_order),
        labelled=split.labelled,
        converted=len(in_order) - len(plan.kept),
        kept=len(plan.kept),
        skipped=tuple(skipped),
        original_bytes=sum(original.size_bytes for original in originals),
        prepared_bytes=sum(file.size_bytes for file in made),
    )


def _jobs(split: Split, root: Path, out: Path, workers: int | None) -> list[Job]:
    """What there is to do for every sample, with the content of its originals."""
    labels = [sample.label for sample in split.samples if sample.label is not None]
    paths = [*(sample.image for sample in split.samples), *labels]
    hashes = dict(zip(paths, content_hashes(paths, workers=workers), strict=True))

    def original(path: Path) -> Original:
        # Relative to the root, so that a set which moved as a whole is still the same.
        name = path.relative_to(root) if path.is_relative_to(root) else path
        return Original(str(name), hashes[path], path.stat().st_size if hashes[path] else -1)

    jobs = []
    for sample in split.samples:
        image, label = made_paths(out, split.name, sample.stem)
        if sample.label is None:
            jobs.append(Job(sample, (original(sample.image), None), image, None))
        else:
            jobs.append(Job(sample, (original(sample.image), original(sample.label)), image, label))
    return jobs


def _finish_split(
    out: Path, name: str, entries: list[Entry], skipped: list[str], classes: tuple[str, ...]
) -> None:
    write_manifest(out, name, entries)
    files.write_text(list_path(out, name), "".join(f"{entry.stem}\n" for entry in entries))
    files.write_text(out / "skipped" / f"{name}.txt", "".join(f"{line}\n" for line in skipped))
    pixels: Counter[int] = Counter()
    for entry in entries:
        pixels.update(entry.class_pixels or {})
    if pixels:
        labelled = max(1, sum(pixels[index] for index in range(len(classes))))
        files.write_json(
            out / "class_frequencies" / f"{name}.json",
            {one: pixels[index] / labelled for index, one in enumerate(classes)},
        )


def _write_spec(dataset: Dataset, folder: DatasetFolder, size: tuple[int, int]) -> None:
    splits: dict[str, dict[str, str]] = {}
    for name in complete_splits(folder.path):
        rule = {"list": f"lists/{name}.txt", "images": f"images/{name}/{{stem}}.jpg"}
        if any(entry.label is not None for entry in read_manifest(folder.path, name).values()):
            rule["labels"] = f"labels/{name}/{{stem}}.png"
        splits[name] = rule
    # What describes the originals' files does not hold here; the rest (classes, palette, license) does.
    kept = dataset.spec.model_dump(
        mode="json", exclude_unset=True, exclude={"layout", "folder", "root", "splits", "labels"}
    )
    changed = {
        "description": f"{dataset.spec.description or dataset.spec.name}, prepared at {size[0]}x{size[1]}",
        "root": ".",
        "splits": splits,
        "labels": {"kind": "train_ids", "other": "error"},
    }
    folder.finish(kept | changed, "Written by `segshift data prepare`.")
