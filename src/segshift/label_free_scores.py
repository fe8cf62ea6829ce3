"""Which label-free scores there are, and which way each is better."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """What a label-free score is.

    Attributes:
        words: in a table.
        higher_is_better: its direction.
    """

    words: str
    higher_is_better: bool = True


SCORES: dict[str, Score] = {
    "entropy": Score("mean entropy", higher_is_better=False),
    "information_maximization": Score("information maximization"),
    "snd": Score("soft neighborhood density"),
    "bnm": Score("batch nuclear norm"),
    "confidence": Score("mean confidence"),
    "mirror_agreement": Score("agreement with the mirrored image"),
    "jitter_agreement": Score("agreement with changed colors"),
    "source_validation": Score("mIoU on labelled source images"),
}
"""Everything that a checkpoint can be selected by without target labels."""

LARGEST_CLASS_SHARE = "largest_class_share"
"""Share of the pixels that the most predicted class gets: no score, but the sign of a collapse."""


def goodness(name: str, value: float) -> float:
    """A score turned so that more is better, for ranking."""
    return value if SCORES[name].higher_is_better else -value
