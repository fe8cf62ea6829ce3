"""Photos that nobody has described, written down as a data set, from which a run can begin again."""

import os
from collections.abc import Iterable
from pathlib import Path

from segshift.data.labels import ClassSet
from segshift.data.spec import load_dataset
from segshift.documents import dump_yaml
from segshift.errors import InputError
from segshift.files import write_text

PHOTOS_FILE, LIST_FILE = "photos.yaml", "photos.txt"


def write_photo_dataset(folder: Path, photos: Iterable[Path], classes: ClassSet) -> Path:
    """The data set of image files without labels: `photos.yaml`, and the files' names in `photos.txt`.

    The images stay where they are. They are read upright, as `segshift predict` reads photos.

    Args:
        folder: gets both files; those of an earlier call must name the same photos.
        photos: image files.
        classes: what is to be seen in them.

    Returns:
        The path of `photos.yaml`; its one split is `train`.

    Raises:
        InputError: a file's name that cannot stand in a list, or a folder that holds other photos.
    """
    files = sorted({Path(os.path.abspath(photo)) for photo in photos})
    root = Path(os.path.commonpath([file.parent for file in files]))
    listed = "".join(f"{file.relative_to(root).as_posix()}\n" for file in files)
    path, names = folder / PHOTOS_FILE, folder / LIST_FILE
    if path.is_file():
        before = {sample.image for sample in load_dataset(path).split("train").samples}
        if before != set(files):
            raise InputError(
                f"{folder}: holds a run on {len(before)} other photos than these {len(files)}; choose "
                "another --out"
            )
        return path
    write_text(names, listed)
    spec = {
        "name": "photos",
        "root": str(root),
        "splits": {"train": {"list": LIST_FILE}},
        "classes": list(classes.names),
        "palette": [list(color) for color in classes.colors],
        "upright": True,
    }
    write_text(path, dump_yaml(spec))
    found = {sample.image for sample in load_dataset(path).split("train").samples}
    for file in files:
        if file not in found:
            path.unlink()
            raise InputError(f"{file}: this name cannot stand in a list of images; rename the file")
    return path
