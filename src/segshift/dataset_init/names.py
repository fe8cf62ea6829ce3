"""What names of files and folders say: photograph or label, which split, and what two of them share."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Literal

Role = Literal["image", "label", "color", "other"]

# Words of file and folder names, as data sets use them.
_WORDS: dict[Role, str] = {
    "image": "image images img imgs rgb rgbs photo photos picture pictures jpegimages leftimg8bit anon ref "
    "stillsraw stills raw input inputs frames",
    "label": "label labels labelids labeltrainids labelcstrainids labellevel1ids labellevel3ids labelmap gt "
    "gts gtfine gtcoarse groundtruth truth mask masks annotation annotations annot annots ann anns anno "
    "annos seg segs segmentation segmentations segmentationclass segmentationclasspng semantic semantics sem "
    "id ids trainid trainids target targets eval labeled labelled labeledapproved l",
    "color": "color colors colour colours colored coloured colormap labelcolor labelcolors",
    "other": "instance instances instanceids instancetrainids depth depths disparity disp flow normal "
    "normals panoptic confidence watershed invgray invids overlay overlays visualization vis preview "
    "segmentationobject segmentationobjectpng segmentationclassvisualization segmentationobjectvisualization "
    "previews prediction predictions contact sheet thumbnail thumbnails",
}
_ROLES: dict[str, Role] = {word: role for role, words in _WORDS.items() for word in words.split()}
_SPLITS = {
    word: name
    for name, words in (
        ("train", "train training trn"),
        ("val", "val valid validation dev"),
        ("test", "test testing tst"),
    )
    for word in words.split()
}
_SEPARATORS = re.compile(r"([_\-. ]+)")
# Supervisely renders its masks for people, too.
_RENDERED_MASKS = "masks_human"
# KITTI's image_2 is the left camera's folder.
_NUMBERED_IMAGES = re.compile(r"image_\d+", re.IGNORECASE)
_GLUED = re.compile(rf"({'|'.join(_SPLITS)})({'|'.join(_ROLES)})", re.IGNORECASE)


@dataclass(frozen=True)
class Name:
    """A file name taken apart: `prefix + core + suffix + extension`; prefix and suffix say what it is."""

    prefix: str
    core: str
    suffix: str
    extension: str


@dataclass(frozen=True)
class Place:
    """What a folder's name says: `words` that mean a role, in order, and the `rest` with splits canonical."""

    words: tuple[str, ...]
    rest: tuple[str, ...]
    split: str | None


def take_apart(file_name: str) -> Name:
    """A file name with the words of a role cut off at its start and end (`_gtFine_labelIds`, `mask_`)."""
    path = PurePosixPath(file_name)
    pieces = _SEPARATORS.split(path.stem)
    start, end = 0, len(pieces)
    # Pieces alternate between words and separators; one word at least stays.
    while end - start > 2 and _is_role_word(pieces[end - 1], pieces[end:]):
        end -= 2
    while end - start > 2 and _ROLES.get(pieces[start].lower()) and pieces[start].lower() != "l":
        start += 2
    return Name("".join(pieces[:start]), "".join(pieces[start:end]), "".join(pieces[end:]), path.suffix)


def _is_role_word(word: str, after: list[str]) -> bool:
    # `_train_id` is BDD100K's; a `train` elsewhere may be a part of the name.
    return word.lower() in _ROLES or (word.lower() == "train" and after[1:2] in (["id"], ["ids"]))


@lru_cache(maxsize=100_000)
def place(folder: str) -> Place:
    """What the components of a folder's path say."""
    words: list[str] = []
    rest: list[str] = []
    split = None
    for component in PurePosixPath(folder).parts:
        if _NUMBERED_IMAGES.fullmatch(component):
            words.append("image")
            continue
        if component.lower() == _RENDERED_MASKS:
            words.append("color")
            continue
        kept = []
        for token in _SEPARATORS.split(component)[::2]:
            # `valid` is a split, not the `id` of `val`.
            glued = None if token.lower() in _SPLITS else _GLUED.fullmatch(token)
            for word in (glued[1], glued[2]) if glued else (token,):
                if word.lower() in _ROLES:
                    words.append(word.lower())
                elif word:
                    kept.append(_SPLITS.get(word.lower(), word))
        rest += kept
        if split is None and any(word in _SPLITS.values() for word in kept):
            split = "_".join(kept)
    return Place(tuple(words), tuple(rest), split)


def role(folder: str, name: Name) -> Role | None:
    """What names say a file is: its own name first, then the folders from the inside to the outside."""
    own = [word for part in (name.suffix, name.prefix) for word in _SEPARATORS.split(part)[::2] if word]
    found = [_ROLES[word.lower()] for word in own if word.lower() in _ROLES]
    # A whole name may be such a word, as contact_sheet.png is.
    found += [_ROLES[word] for word in name.core.lower().split("_") if _ROLES.get(word) == "other"]
    by_folders = _verdict([_ROLES[word] for word in reversed(place(folder).words)])
    by_name = _verdict(found)
    # labels/Image_01L.png: all files are named after their image, so the pixels have to say which they are.
    if by_name == "image" and by_folders == "label":
        return None
    return by_name or by_folders


def _verdict(roles: list[Role]) -> Role | None:
    """The first, but `gtFine_color` and `gtFine_instanceIds` are that, whatever stands before."""
    return next((one for one in ("other", "color") if one in roles), roles[0] if roles else None)
