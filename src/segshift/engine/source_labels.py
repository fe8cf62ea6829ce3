"""Whether the source's labels say anything, looked up before training on them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segshift.engine.feed import TrainingData
from segshift.errors import InputError
from segshift.plain import counted

_MAPS = 16
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class SourceLabels:
    """What some label maps of the source hold.

    Attributes:
        maps: how many were read, evenly spread.
        share: of their pixels that have a class.
        missing: classes that do not occur in them.
        classes: how many there are.
    """

    maps: int
    share: float
    missing: tuple[str, ...]
    classes: int

    @property
    def suspicious(self) -> bool:
        """Whether so little is labelled, or so few classes occur, that the labels were probably misread."""
        occurring = self.classes - len(self.missing)
        return self.share < _LEAST_SHARE or occurring < max(2, self.classes / 4)

    @property
    def line(self) -> str:
        """One line for people."""
        verb = "never occurs" if len(self.missing) == 1 else "never occur"
        missing = f", and {', '.join(self.missing)} {verb}" if self.missing else ""
        maps = counted(self.maps, "source label map")
        return (
            f"{self.share:.1%} of the pixels of {maps} have a class{missing}; "
            "if that is wrong, see `labels` in the data set's YAML and `segshift data check`"
        )

    def to_dict(self) -> dict[str, Any]:
        """For metrics.jsonl."""
        return {"maps": self.maps, "share": self.share, "missing": list(self.missing), "line": self.line}


def source_labels(data: TrainingData) -> SourceLabels:
    """Read some label maps of the source.

    Raises:
        InputError: not one of their pixels has a class, or a file is bad.
    """
    names = data.domains.classes.names
    pixels: NDArray[np.int64] = np.zeros(256, np.int64)
    maps = 0
    for labels in data.source_labels(batch_size=1, limit=_MAPS):
        pixels += torch.bincount(labels.flatten(), minlength=256).numpy()
        maps += len(labels)
    counts = pixels[: len(names)]
    # Rare objects may be in none of some maps, so that only all of them tell.
    if counts.sum() == 0 and not any(
        bool((labels < len(names)).any()) for labels in data.source_labels(batch_size=1, limit=None)
    ):
        raise InputError(
            f"{data.describe('source')}: not one pixel of its label maps has a class: there is nothing to "
            "learn; mend `labels` in the data set's YAML (`segshift data check` shows the values)"
        )
    missing = tuple(name for name, count in zip(names, counts, strict=True) if count == 0)
    return SourceLabels(maps, float(counts.sum() / pixels.sum()), missing, len(names))
