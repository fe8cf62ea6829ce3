"""Names of classes as labelling tools export them beside masks, and labels in other forms than masks."""

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segshift.data.decoder import LabelRule
from segshift.dataset_init.guess import Meaning
from segshift.dataset_init.names import place
from segshift.dataset_init.scan import POLYGON_LINE, Tree
from segshift.dataset_init.values import Values, key_of
from segshift.errors import InputError
from segshift.files import read_text
from segshift.plain import counted

_LEAST_KNOWN = 0.98
"""Share of the pixels whose values a file has to name to be believed."""
_MOST_BYTES = 1_000_000
_HEAD_BYTES = 200_000


@dataclass(frozen=True)
class ClassFile:
    """What a file says: `names` by raw value, an id or (with `colors`) R * 65536 + G * 256 + B."""

    place: str
    names: Mapping[int, str]
    colors: bool


def class_files(tree: Tree) -> tuple[ClassFile, ...]:
    """The files of a tree that name classes: CVAT's, LabelMe's, Roboflow's, CamVid's, class_dict.csv."""
    found = []
    for file in (*tree.texts, *tree.others):
        parse = _PARSERS.get(PurePosixPath(file).name.lower())
        path = tree.root / file
        if parse is None:
            continue
        try:
            if path.stat().st_size > _MOST_BYTES:
                continue
            names, colors = parse(read_text(path).splitlines())
        except (OSError, ValueError, InputError):
            continue
        if names:
            found.append(ClassFile(file, names, colors))
    return tuple(found)


def named_by_file(files: tuple[ClassFile, ...], values: Values) -> Meaning | None:
    """The classes that a file beside the labels names, if it knows their values."""
    for one in files:
        by_value: dict[int, str] = {}
        if one.colors == (values.kind == "rgb"):
            by_value = dict(one.names)
        elif one.colors and all(value.color is not None for value in values.values):
            # Palette PNGs: the file names the colors that viewers show, the labels hold numbers.
            by_value = {
                value.value: one.names[_coded(*value.color)]
                for value in values.values
                if value.color is not None and _coded(*value.color) in one.names
            }
        known = sum(value.share for value in values.values if value.value in by_value)
        if known >= _LEAST_KNOWN and len(set(by_value.values())) <= 255:
            return _meaning(one, by_value, values)
    return None


def _meaning(file: ClassFile, by_value: Mapping[int, str], values: Values) -> Meaning:
    rule = LabelRule(
        kind=values.kind,
        channel=values.channel,
        map={key_of(value, values): name for value, name in by_value.items()},
    )
    named = {value.value: by_value.get(value.value) for value in values.values}
    unknown = tuple(value.value for value in values.values if value.value not in by_value)
    classes = tuple(dict.fromkeys(by_value.values()))
    return Meaning(classes, rule, named, True, f"{file.place} names the classes", unknown)


def _coded(red: int, green: int, blue: int) -> int:
    return red << 16 | green << 8 | blue


Parsed = tuple[dict[int, str], bool]


def _cvat(lines: list[str]) -> Parsed:
    """`road:128,64,128::` per line (CVAT's segmentation masks)."""
    names = {}
    for line in lines:
        match = re.match(r"\s*([^#:][^:]*):(\d+),\s*(\d+),\s*(\d+)", line)
        if match:
            names[_coded(*(int(part) for part in match.groups()[1:]))] = match[1].strip()
    return names, True


def _camvid(lines: list[str]) -> Parsed:
    """`64 128 64  Animal` per line (CamVid's label_colors.txt)."""
    found = (re.fullmatch(r"\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S.*?)\s*", line) for line in lines)
    return {_coded(int(one[1]), int(one[2]), int(one[3])): one[4] for one in found if one}, True


def _roboflow(lines: list[str]) -> Parsed:
    """`Pixel Value, Class` (Roboflow's _classes.csv)."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
    return {int(row[0]): row[1] for row in rows if len(row) == 2 and row[0].isdecimal() and row[1]}, False


def _class_dict(lines: list[str]) -> Parsed:
    """`name,r,g,b` (class_dict.csv)."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
    named = (row for row in rows if len(row) == 4 and all(cell.isdecimal() for cell in row[1:]))
    return {_coded(*(int(cell) for cell in row[1:])): row[0] for row in named if row[0]}, True


def _labelme(lines: list[str]) -> Parsed:
    """One name per line in the order of the ids (LabelMe's class_names.txt; its labels.txt has -1, too)."""
    names = [line.strip().strip("_") for line in lines if line.strip()]
    if names[:1] == ["ignore"]:
        del names[0]
    return dict(enumerate(names)) if names[:1] == ["background"] else {}, False


_PARSERS: dict[str, Callable[[list[str]], Parsed]] = {
    "labelmap.txt": _cvat,
    "class_names.txt": _labelme,
    "labels.txt": _labelme,
    "label_colors.txt": _camvid,
    "_classes.csv": _roboflow,
    "class_dict.csv": _class_dict,
}

# What marks the annotations of each tool, and how they become masks.
_MADE_BY = "PNGs of one class id per pixel are made of them by "
_FORMS = (
    (
        r'"segments_info"',
        "COCO panoptic annotations",
        f"{_MADE_BY}panopticapi's converters/panoptic2semantic_segmentation.py",
    ),
    (
        r'"imagePath"|"imageData"',
        "LabelMe annotations",
        f"{_MADE_BY}labelme's examples/semantic_segmentation/labelme2voc.py",
    ),
    (r'"bitmap"|"classTitle"', "Supervisely annotations", f"{_MADE_BY}its export of machine masks"),
    (r'"region_attributes"', "VIA annotations", f"{_MADE_BY}skimage.draw.polygon of their regions"),
    (
        r'"categories"\s*:|"annotations"\s*:',
        "COCO annotations",
        f"{_MADE_BY}pycocotools: COCO(FILE).annToMask",
    ),
    (r"<annotations>", "CVAT annotations", f"{_MADE_BY}its export as Segmentation mask"),
    (r"<annotation>", "Pascal VOC boxes", "boxes say nothing of single pixels, so that masks must be drawn"),
    (
        POLYGON_LINE,
        "YOLO polygons or boxes",
        f"{_MADE_BY}cv2.fillPoly if they are polygons; boxes say nothing of single pixels",
    ),
)


def other_labels(tree: Tree) -> tuple[str, ...]:
    """Notes on annotations that are no masks: what was seen, and how it becomes masks."""
    seen: dict[str, tuple[int, str, str]] = {}
    for file in tree.others:
        if PurePosixPath(file).suffix.lower() not in (".json", ".xml", ".txt"):
            continue
        form = _form(tree.root / file)
        if form is None and place(PurePosixPath(file).stem).split:
            form = (
                "a form that is not read",
                "write a list of a split as text, an image (and its label) per line",
            )
        if form is not None:
            count, first, remedy = seen.get(form[0], (0, file, form[1]))
            seen[form[0]] = count + 1, first, remedy
    return tuple(
        f"{counted(count, 'file')} of {name}, first {first}: only masks are read; {remedy}"
        for name, (count, first, remedy) in seen.items()
    )


def _form(path: Path) -> tuple[str, str] | None:
    try:
        with path.open("rb") as stream:
            text = stream.read(_HEAD_BYTES).decode("utf-8", "replace")
            # The categories of large COCO files stand at the end.
            stream.seek(max(0, path.stat().st_size - _HEAD_BYTES))
            text += stream.read(_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    return next(((name, remedy) for mark, name, remedy in _FORMS if re.search(mark, text)), None)
