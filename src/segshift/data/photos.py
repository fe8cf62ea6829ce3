"""Images and videos that stand for themselves: files and folders on a command line."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from segshift.data.walk import IMAGE_SUFFIXES, Walk, is_image_name, is_video_name
from segshift.errors import InputError
from segshift.plain import counted


@dataclass(frozen=True)
class Photos:
    """Image and video files by the names that their results get.

    `notes` says in sentences what was passed over.
    """

    named: dict[str, Path]
    notes: tuple[str, ...] = ()


def find_photos(paths: Iterable[Path], out: Path | None = None, *, videos: bool = False) -> Photos:
    """The images of files and folders, by the rule of `segshift.data.walk`.

    A file's results are named by its stem, those of a folder by their place below it (`FOLDER/NAME`).

    Args:
        paths: files and folders.
        out: where results will be written; earlier ones that lie in it are no images.
        videos: whether those in folders are wanted, too.

    Raises:
        InputError: a path that does not exist, a folder without images or that is `out` itself, two images of
            one name.
    """
    named: dict[str, Path] = {}
    notes: list[str] = []
    for path in paths:
        for file in _files(path, notes, out, videos):
            name = str(file.relative_to(path).with_suffix("")) if file != path else path.stem
            if name in named:
                raise InputError(
                    f"{file} and {named[name]} would both be written as {name}; rename one, "
                    "or predict them into two --out folders"
                )
            named[name] = file
    return Photos(named, tuple(notes))


def photo_files(paths: Iterable[Path], out: Path | None = None) -> tuple[list[Path], list[str]]:
    """The images themselves, each once, and the notes: for those who give no results names of theirs.

    Raises:
        InputError: as `find_photos`, but for names.
    """
    notes: list[str] = []
    files = [file for path in paths for file in _files(path, notes, out)]
    return list(dict.fromkeys(files)), notes


def _files(path: Path, notes: list[str], out: Path | None, videos: bool = False) -> list[Path]:
    if path.is_dir():
        return _below(path, notes, None if out is None else out.resolve(), videos)
    if path.exists():
        return [path]
    raise InputError(f"{path}: no such file or folder; give images or folders of images")


def _below(folder: Path, notes: list[str], out: Path | None, videos: bool) -> list[Path]:
    if folder.resolve() == out:
        raise InputError(
            f"{folder}: the results would lie among the images, as if they were some; choose another --out"
        )
    walk = Walk(folder)
    places = sorted(walk.all_files())
    if out is not None and out.is_relative_to(folder.resolve()):
        results = f"{out.relative_to(folder.resolve()).as_posix()}/"
        earlier = {place for place in places if place.startswith(results)}
        if earlier:
            notes.append(f"{folder}: {counted(len(earlier), 'file')} in {results[:-1]}, the --out, left out")
            places = sorted(set(places) - earlier)
    images = [place for place in places if is_image_name(place) or (videos and is_video_name(place))]
    if not images:
        raise InputError(f"{folder}: holds no images ({', '.join(IMAGE_SUFFIXES)}); give another folder")
    for what, left_out in (
        (("other file is", "other files are"), set(places) - set(images)),
        (("hidden file is", "hidden files are"), walk.litter),
        (("link back to a folder that holds it is", "links back to folders that hold them are"), walk.loops),
        (("folder that cannot be opened is", "folders that cannot be opened are"), walk.unreadable),
    ):
        if left_out:
            notes.append(f"{folder}: {counted(len(left_out), *what)} left out, first {min(left_out)}")
    return [folder / place for place in images]
