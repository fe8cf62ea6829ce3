"""From errors to advice: local or global alignment, translation, or better data first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from segshift.analysis.diagnosis.confidence import ConfidenceDrop
from segshift.analysis.diagnosis.measured import Measurements, measurements
from segshift.analysis.diagnosis.separability import Separability

ALIKE_FROM = 0.40
"""Domains with at least this held-out error can hardly be told apart."""
APART_UP_TO = 0.25
"""Domains with at most this error, whose interval stays below 50 %, are told apart."""

Verdict = Literal["apart", "partly", "alike", "unclear"]
Kind = Literal["local", "global", "risky", "unclear", "unknown"]

WHOLE = "whole"
LEAST_PATCH_PX = 32
"""The discriminator of local alignment takes no smaller patches."""
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
        presets: to try first, best first: what gained most on the pairs in `measured.yaml`, then what the
            layouts allow.
        needed: whether adaptation has something to gain; None where that is not known.
        style_gap: images are told apart where label maps are not; False if images are alike, None where it
            was not measured or style cannot be separated from content.
        sentences: the same in words and numbers.
    """

    alignment: Kind
    patch_px: int | None = None
    presets: list[str] = field(default_factory=list)
    style_gap: bool | None = None
    needed: bool | None = None
    sentences: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, with the thresholds."""
        return {
            "alignment": self.alignment,
            "patch_px": self.patch_px,
            "presets": self.presets,
            "style_gap": self.style_gap,
            "needed": self.needed,
            "sentences": self.sentences,
            "thresholds": {"alike_from_error": ALIKE_FROM, "apart_up_to_error": APART_UP_TO},
        }


@dataclass(frozen=True)
class Placement:
    """How differently the classes are placed, see `statistics.layout_distance`.

    Attributes:
        between: of the two domains.
        within: of two halves of one domain, the larger of the two.
    """

    between: float
    within: float

    @property
    def same(self) -> bool:
        """The domains differ no more than halves of one, though halves are smaller and thus noisier."""
        return self.between <= self.within

    def __str__(self) -> str:
        return f"placement {self.between:.2f}, between halves of one domain {self.within:.2f}"


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
    placement: Placement | None = None,
    confidence: ConfidenceDrop | None = None,
    table: Measurements | None = None,
) -> Recommendation:
    """Advice in words and numbers.

    Args:
        labels: the experiment on label maps by patch size: px as text, small to large, then "whole".
        images: the same on images.
        features: the linear classifier on a network's features.
        telling_classes: those whose shares differ most, for a sentence.
        exclusive_classes: those that occur in one domain only.
        predicted: label maps were a network's predictions.
        placement: where the classes lie, to tell layouts from anything else that small patches hide.
        confidence: how much less sure a network is of the target.
        table: what was measured on other pairs; None takes the one of the package.
    """
    table = table or measurements()
    advice = Recommendation("unknown") if labels is None else _alignment(labels, telling_classes, placement)
    if labels is not None and advice.alignment in ("local", "global"):
        relied_on = labels[WHOLE if advice.patch_px is None else str(advice.patch_px)]
        if _too_few(relied_on):
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
            f"Only one domain has {_listed(exclusive_classes)}{' in the predictions' if predicted else ''}: "
            "that can give it away, and no alignment can make up for it; merge or drop such classes "
            "(--classes)."
        )
    if images is not None:
        _style(advice, labels, images)
    if confidence is not None:
        _gap(advice, confidence, table)
    if advice.needed or advice.presets or (images is not None and _told_apart(images)):
        _by_measurement(advice, table)
    if features is not None:
        judged = verdict(features)
        how = "" if judged == "unclear" else " by a linear classifier"
        advice.sentences.append(f"The network's features {_WORDS[judged]}{how} ({_error(features)}).")
    return advice


def _alignment(
    labels: Mapping[str, Separability], telling: Sequence[str], placement: Placement | None
) -> Recommendation:
    """What label maps say of aligning outputs. Long, as a table of cases is; each ends in its words."""
    whole = labels[WHOLE]
    patches = {int(size): one for size, one in labels.items() if size != WHOLE}
    judged = {size: verdict(one) for size, one in patches.items()}
    of_whole = verdict(whole)
    told = [size for size, word in judged.items() if word in ("apart", "partly")]
    # A patch holds smaller ones: if those are told apart, a larger one that is not was only harder to learn.
    alike = [size for size, word in judged.items() if word == "alike" and size < min(told, default=size + 1)]
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
    same_layout = placement is not None and placement.same
    if alike and not same_layout:
        return _local(start, max(alike), patches[max(alike)])
    if not patches:
        return Recommendation("unclear", sentences=[f"{start}; no patches were tried (--patches)."])
    best = max(patches, key=lambda one: patches[one].error)
    if judged[best] == "unclear":
        return Recommendation("unclear", sentences=[f"{start}.", _MORE_IMAGES])
    classes = f" The shares of {_listed(telling)} differ most." if telling else ""
    if same_layout:
        classes = f" The classes lie in the same places ({placement}).{classes}"
    instead = "smaller patches (--patches)"
    if alike:
        small = f"only patches up to {max(alike)} px hide it ({_error(patches[max(alike)])})"
        instead = f"patches of at most {max(alike)} px"
    elif judged[best] == "alike":
        size = min(told)
        small = f"so are patches of {size} px ({_error(patches[size])}), though not those of {best} px"
    else:
        small = f"so are patches of every size (best hidden at {best} px: {_error(patches[best])})"
    return Recommendation(
        "risky",
        presets=["adabn_training", "mean_teacher"],
        sentences=[
            f"{start}, {'' if alike else 'and '}{small}: classes or local structure differ, "
            f"not {'' if same_layout else 'only '}the layout.{classes}",
            "Aligning outputs, globally or locally, is risky: it makes the target look like a source that "
            f"it is not. Try methods that do not align outputs, or {instead}.",
        ],
    )


def _local(start: str, size: int, found: Separability) -> Recommendation:
    sentences = [
        f"{start}, patches of {size} px can hardly be told apart ({_error(found)}): layouts differ, local "
        f"structure agrees. Align locally (preset local_alignment), with patch_px = {size}; aligning whole "
        "maps would push the source's layout onto the target."
    ]
    if size < LEAST_PATCH_PX:
        sentences.append(
            f"The discriminator needs patches of {LEAST_PATCH_PX} px: train on images that are "
            f"{LEAST_PATCH_PX / size:.1f} times as large (--size), with patches of that size."
        )
    return Recommendation("local", size, ["local_alignment"], sentences=sentences)


def _style(
    advice: Recommendation,
    labels: Mapping[str, Separability] | None,
    images: Mapping[str, Separability],
) -> None:
    word = verdict(images[WHOLE])
    start = f"Images {_WORDS[word]} ({_error(images[WHOLE])})"
    judged = {size: verdict(one) for size, one in images.items()}
    told = [size for size, one in judged.items() if one in ("apart", "partly")]
    if labels is None:
        advice.sentences.append(f"{start}; without label maps, by style or by content is not known.")
        return
    hidden = [size for size in told if size in labels and verdict(labels[size]) == "alike"]
    if hidden:
        advice.style_gap = True
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
    elif told:
        size = told[-1]
        what = "Images" if size == WHOLE else f"Patches of {size} px of the images"
        why = (
            "the label maps are too few to say whether by style or by content"
            if verdict(labels[size]) == "unclear"
            else "so are the label maps: style and content are not separated"
        )
        advice.sentences.append(f"{what} {_WORDS[judged[size]]} ({_error(images[size])}), but {why}.")
    elif "unclear" in judged.values():
        advice.sentences.append(f"{start}: take more to see whether their style differs (--images).")
    else:
        advice.style_gap = False
        few = _too_few(images[WHOLE]) or _too_few(labels[WHOLE])
        limit = ", as far as so few images show" if few else ""
        advice.sentences.append(f"{start}: little to adapt in style{limit}.")
        if advice.alignment == "global":
            advice.presets = []
            if not few:
                advice.needed = False
                advice.sentences.append(
                    "Nothing here calls for adaptation, you do not need it: train on the source alone "
                    "(preset source_only) and measure it on the target."
                )


def _gap(advice: Recommendation, found: ConfidenceDrop, table: Measurements) -> None:
    """Whether there is a gap to close, by the confidence of a network that was trained on the source."""
    low, high = (100 * end for end in found.interval)
    small = table.small_drop()
    start = (
        f"The network's mean confidence is {100 * found.source:.1f} % on the source and "
        f"{100 * found.target:.1f} % on the target: {100 * found.drop:.1f} points less (95 % interval "
        f"{low:.1f} to {high:.1f})"
    )
    if high < small:
        advice.needed = False
        advice.sentences.append(
            f"{start}, less than half of the smallest drop on the measured pairs with a gap to close "
            f"({small:.1f}). You do not need adaptation here: keep the network, and measure it on a few "
            "labelled target images."
        )
    elif low > small:
        advice.needed = True
        advice.sentences.append(f"{start}: there is a gap to close.")
    else:
        advice.sentences.append(f"{start}: too close to {small:.1f} points to say whether there is a gap.")


def _by_measurement(advice: Recommendation, table: Measurements) -> None:
    """Put what gained most on other pairs first, and say by how much; nothing where nothing is needed."""
    if advice.needed is False:
        advice.presets = []
        return
    best = table.best()
    if best is not None:
        advice.presets = list(dict.fromkeys([best, *table.best_of_pairs().values(), *advice.presets]))
    advice.sentences += table.sentences()


def _told_apart(images: Mapping[str, Separability]) -> bool:
    return any(verdict(one) in ("apart", "partly") for one in images.values())


def _too_few(found: Separability) -> bool:
    """Domains that look alike could as well be apart."""
    return found.interval[0] < APART_UP_TO


def _error(found: Separability) -> str:
    low, high = found.interval
    return f"error {100 * found.error:.1f} %, 95 % interval {100 * low:.0f} to {100 * high:.0f}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
