"""What the values of prediction files are that nothing describes: label ids or train ids."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segshift.data.containers import open_picture
from segshift.data.decoder import LabelDecoder
from segshift.data.label_files import read_label
from segshift.data.spec import Split
from segshift.errors import InputError
from segshift.train_ids import IGNORE

LABEL_IDS: Final = "label_ids"
TRAIN_IDS: Final = "train_ids"


def guess_ids(files: Sequence[Path], split: Split) -> str:
    """`label_ids` or `train_ids`, by the values in all the files; only what leaves no doubt is accepted.

    Values may be train ids if all are; they may be label ids if one is a class in the label files and the
    others may stand there too, those that do not count (such as 0 for "unlabeled") among them.

    Raises:
        InputError: values that fit both kinds or none, or an unreadable file.
    """
    decoder, classes = split.decoder, split.classes
    if decoder.kind == "train_ids":
        return TRAIN_IDS
    if decoder.kind == "rgb":
        # Colors have three channels and ids one, so the first file tells.
        try:
            read_label(files[0], TRAIN_IDS)
        except InputError:
            return LABEL_IDS
        return TRAIN_IDS
    seen = np.zeros(2**16, bool)
    for path in files:
        seen[np.unique(read_ids(path, decoder, labels=True))] = True
    values = [value for value in np.flatnonzero(seen).tolist() if value != IGNORE]
    meant = {value: decoder.values.get(value, IGNORE) for value in values}
    label_ids = any(train_id != IGNORE for train_id in meant.values()) and not _strangers(values, split)
    train_ids = all(value < classes.count for value in values)
    where = files[0].parent
    if not label_ids and not train_ids:
        beyond = next(value for value in values if value >= classes.count)
        raise InputError(
            f"{where}: the predictions hold the id {beyond}, which is neither a train id (0 to "
            f"{classes.count - 1}) nor, with all others, an id of the label files in {decoder.where}; say "
            "--prediction-ids"
        )
    if label_ids and train_ids and any(value != train_id for value, train_id in meant.items()):
        raise InputError(
            f"{where}: the predicted ids ({', '.join(map(str, values))}) may be label ids or train ids; say "
            f"--prediction-ids {LABEL_IDS} or {TRAIN_IDS}"
        )
    return TRAIN_IDS if train_ids else LABEL_IDS


def _strangers(values: Sequence[int], split: Split) -> set[int]:
    """The values that the label files cannot hold: unknown to their rule, and met in none of them."""
    strangers = set(values) - set(split.decoder.values)
    if split.decoder.other == "ignore":
        for sample in split.samples:
            if not strangers:
                break
            if sample.label is not None:
                strangers.difference_update(np.unique(split.decoder.read_raw(sample.label)).tolist())
    return strangers


def read_ids(path: Path, decoder: LabelDecoder, *, labels: bool = False) -> NDArray[Any]:
    """A prediction's ids, (H, W). Raises InputError, for colors in words that are about predictions.

    Args:
        path: the file.
        decoder: of the data set's label files.
        labels: whether the file may have channels as those have.
    """
    try:
        return read_label(path, TRAIN_IDS, decoder.channel if labels else None)
    except InputError:
        with open_picture(path) as (image, header):
            if len(image.getbands()) > 1 and header.container == "PNG":
                remedy = "give the PNGs of one channel that hold the ids (segshift predict: NAME_label.png)"
                if decoder.kind == "rgb":
                    remedy += f", or say --prediction-ids {LABEL_IDS} if its colors are those of the labels"
                raise InputError(f"{path}: is a color image ({header.mode}), not ids; {remedy}") from None
        raise
