"""From errors to advice: local or global alignment, translation, or better data first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from segshift.analysis.diagnosis.separability import Separability

ALIKE_FROM = 0.40
"""Domains with at least this held-out error can hardly be told apart."""
APART_UP_TO = 0.25
"""Domains with at most this error, whose interval stays below 50 %, are told apart."""

Verdict = Literal["apart", "partly", "alike", "unclear"]
Kind = Literal["local", "global", "risky", "unclear", "unknown"]

WHOLE = "whole"
_LEAST_PATCH_PX = 32
_WORDS: dict[str, str] = {
    "apart": "are told apart",
    "partly": "are told apart in part",
    "alike": "can hardly be told apart",
    "unclear": "are too few to judge",
}
_MORE_IMAGES = "The images are too few for a verdict on the layouts; take more (--images, longer splits)."


@dataclass
class Recommendation:
    """What fits these domains.

    Attributes:
        alignment: of outputs: "local" (patches), "global" (whole maps), "risky" (neither is safe), "unclear"
            (too few images) or "unknown" (no label maps).
        patch_px: for local alignment, in px of the network's input.
        presets: to try first, best first.
        style_gap: images are told apart where label maps are not; None where that was not measured.
        sentences: the same in words and numbers.
    """

    alignment: Kind
    patch_px: int | None = None
    presets: list[str] = field(default_factory=list)
    style_gap: bool | None = None
    sentences: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, with the thresholds."""
        return {
            "alignment": self.alignment,
            "patch_px": self.patch_px,
            "presets": self.presets,
            "style_gap": self.style_gap,
            "sentences": self.sentences,
            "thresholds": {"alike_from_error": ALIKE_FROM, "apart_up_to_error": APART_UP_TO},
        }


def verdict(found: Separability) -> Verdict:
    """What an error means.

    "alike" from an error of 40 %; else "unclear" if its 95 % interval reaches 50 %; else "apart" up to 25 %
    and "partly" between.
    """
    if found.error >= ALIKE_FROM:
        return "alike"
    if found.interval[1] >= 0.5:
        return "unclear"
    return "apart" if found.error <= APART_UP_TO else "partly"


def recommend(
    labels: Mapping[str, Separability] | None,
    images: Mapping[str, Separability] | None,
    features: Separability | None,
    telling_classes: Sequence[str],
    exclusive_classes: Sequence[str],
    predicted: bool,
) -> Recommendation:
    """Advice in words and numbers.

    Args:
        labels: the experiment on label maps by patch size: px as text, small to large, then "whole".
        images: the same on images.
        features: the linear classifier on a network's features.
        telling_classes: those whose shares differ most, for a sentence.
        exclusive_classes: those that occur in one domain only.
        predicted: label maps were a network's predictions.
    """
    advice = Recommendation("unknown") if labels is None else _alignment(labels, telling_classes)
    if labels is not None and advice.alignment in ("local", "global"):
        relied_on = labels[WHOLE if advice.patch_px is None else str(advice.patch_px)]
        if relied_on.interval[0] < APART_UP_TO:
            advice.sentences.append(
                f"So few images leave room for more difference: the interval starts at "
                f"{100 * relied_on.interval[0]:.0f} %. Take more (--images, longer splits) to be sure."
            )
    if predicted and labels is not None:
        advice.sentences.append(
            "The label maps are predictions of the network in both domains: where it errs in the target, "
            "the error is part of these numbers."
        )
    if exclusive_classes:
        advice.sentences.append(
            f"Only one domain has {_listed(exclusive_classes)}: that gives it away, and no alignment "
            "can make up for it; merge or drop such classes (--classes)."
        )
    if images is not None:
        _style(advice, labels, images)
    if features is not None:
        word = _WORDS[verdict(features)]
        advice.sentences.append(f"The network's features {word} by a linear classifier ({_error(features)}).")
    return advice


def _alignment(labels: Mapping[str, Separability], telling: Sequence[str]) -> Recommendation:
    whole = labels[WHOLE]
    patches = {int(size): one for size, one in labels.items() if size != WHOLE}
    judged = {size: verdict(one) for size, one in patches.items()}
    of_whole = verdict(whole)
    told = [size for size, word in judged.items() if word in ("apart", "partly")]
    alike = [size for size, word in judged.items() if word == "alike"]
    start = f"Whole label maps {_WORDS[of_whole]} ({_error(whole)})"
    if of_whole == "unclear":
        return Recommendation("unclear", sentences=[f"{start}.", _MORE_IMAGES])
    if of_whole == "alike" and told:
        size = min(told, key=lambda one: patches[one].error)
        return Recommendation(
            "risky",
            presets=["adabn_training", "mean_teacher"],
            sentences=[
                f"{start}, but patches of {size} px {_WORDS[judged[size]]} ({_error(patches[size])}): the "
                "layouts agree, the fine structure or the way of annotating does not. Look at the example "
                "patches before aligning outputs."
            ],
        )
    if of_whole == "alike":
        return Recommendation(
            "global",
            presets=["advent", "adaptsegnet"],
            sentences=[
                f"{start}, so the layouts agree: aligning whole output maps (advent, adaptsegnet) is safe as "
                "far as layouts go, and local alignment has little to add."
            ],
        )
    if alike:
        return _local(start, max(alike), patches[max(alike)])
    if not patches:
        return Recommendation("unclear", sentences=[f"{start}; no patches were tried (--patches)."])
    best = max(patches, key=lambda one: patches[one].error)
    if judged[best] == "unclear":
        return Recommendation("unclear", sentences=[f"{start}.", _MORE_IMAGES])
    classes = f" The shares of {_listed(telling)} differ most." if telling else ""
    return Recommendation(
        "risky",
        presets=["adabn_training", "mean_teacher"],
        sentences=[
            f"{start}, and so are patches of every size (best hidden at {best} px: "
            f"{_error(patches[best])}): classes or local structure differ, not only the layout.{classes}",
            "Aligning outputs, globally or locally, is risky: it makes the target look like a source that "
            "it is not. Try methods that do not align outputs, or smaller patches (--patches).",
        ],
    )


def _local(start: str, size: int, found: Separability) -> Recommendation:
    sentences = [
        f"{start}, patches of {size} px can hardly be told apart ({_error(found)}): layouts differ, local "
        f"structure agrees. Align locally (preset local_alignment), with patch_px = {size}; aligning whole "
        "maps would push the source's layout onto the target."
    ]
    if size < _LEAST_PATCH_PX:
        sentences.append(
            f"The discriminator needs patches of {_LEAST_PATCH_PX} px: train on images that are "
            f"{_LEAST_PATCH_PX / size:.1f} times as large (--size), with patches of that size."
        )
    return Recommendation("local", size, ["local_alignment"], sentences=sentences)


def _style(
    advice: Recommendation,
    labels: Mapping[str, Separability] | None,
    images: Mapping[str, Separability],
) -> None:
    word = verdict(images[WHOLE])
    start = f"Images {_WORDS[word]} ({_error(images[WHOLE])})"
    told = [size for size, one in images.items() if verdict(one) in ("apart", "partly")]
    if labels is None:
        advice.sentences.append(f"{start}; without label maps, by style or by content is not known.")
        return
    hidden = [size for size in told if size in labels and verdict(labels[size]) == "alike"]
    advice.style_gap = bool(hidden)
    if hidden:
        size = WHOLE if WHOLE in hidden else hidden[-1]
        what = "whole images" if size == WHOLE else f"patches of {size} px of the images"
        same = "the label maps" if size == WHOLE else "those of the label maps"
        advice.sentences.append(
            f"The domains differ in style: {what} {_WORDS[verdict(images[size])]} "
            f"({_error(images[size])}), {same} hardly ({_error(labels[size])}). Translate images "
            "(cyclegan_adapt, cycada), adapt batch norm (adabn_training) or align features "
            "(feature_alignment)."
        )
        if advice.alignment == "global":
            advice.presets = ["adabn_training", "cyclegan_adapt", *advice.presets]
    elif word == "alike":
        advice.sentences.append(f"{start}: little to adapt in style.")
    else:
        advice.sentences.append(f"{start}, but so are the label maps: style and content are not separated.")


def _error(found: Separability) -> str:
    low, high = found.interval
    return f"error {100 * found.error:.1f} %, 95 % interval {100 * low:.0f} to {100 * high:.0f}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
