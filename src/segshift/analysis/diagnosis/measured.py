"""What adaptation was worth on the pairs of domains that segshift was measured on: `measured.yaml`."""

import statistics
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pydantic import Field

from segshift.config import Strict, parse
from segshift.documents import parse_yaml
from segshift.ranges import Count, NotNegative

_FILE = "measured.yaml"


class Gain(Strict):
    """A gain over the control, in points of mIoU.

    Attributes:
        mean: over the seeds.
        spread: its standard deviation over the seeds.
    """

    mean: float
    spread: float = Field(ge=0)

    @property
    def sure(self) -> bool:
        """Whether it is above zero by more than twice the spread."""
        return self.mean > 2 * self.spread


class MeasuredPair(Strict):
    """One pair of domains.

    Attributes:
        pair: its name.
        command: that measured it.
        network: backbone and head.
        seeds: how many.
        steps: of every method and of its control, after their common start.
        confidence_drop: by how much the control's mean confidence is lower on the target than on the source's
            validation images, in points.
        control: its mIoU on the target in %.
        oracle: gain with the target's labels: the gap that there is to close.
        methods: gain without them, by preset.
    """

    pair: str
    command: str
    network: str
    seeds: Count
    steps: Count
    confidence_drop: float
    control: NotNegative
    oracle: Gain
    methods: dict[str, Gain]


class _File(Strict):
    pairs: list[MeasuredPair] = Field(min_length=1)


@dataclass(frozen=True)
class Measurements:
    """All pairs, and what follows from them."""

    pairs: tuple[MeasuredPair, ...]

    def best(self) -> str | None:
        """The preset with the highest mean gain over all pairs; None if none gains anything.

        Only presets that were measured on every pair count.
        """
        common = set.intersection(*(set(pair.methods) for pair in self.pairs))
        means = {name: self.mean_gain(name) for name in sorted(common)}
        name = max(means, key=lambda one: means[one], default=None)
        return name if name is not None and means[name] > 0 else None

    def best_of_pairs(self) -> dict[str, str]:
        """By pair, the preset that gained most there, where that is surely above zero."""
        found = {pair.pair: max(pair.methods, key=lambda one: pair.methods[one].mean) for pair in self.pairs}
        return {pair.pair: found[pair.pair] for pair in self.pairs if pair.methods[found[pair.pair]].sure}

    def mean_gain(self, method: str) -> float:
        """A method's gain in points, the mean over the pairs that have it."""
        return statistics.fmean(pair.methods[method].mean for pair in self.pairs if method in pair.methods)

    def small_drop(self) -> float:
        """Half of the smallest drop of the confidence, in points, among the pairs with a gap to close."""
        drops = [pair.confidence_drop for pair in self.pairs if pair.oracle.sure and pair.confidence_drop > 0]
        return min(drops) / 2 if drops else 0.0

    def sentences(self) -> list[str]:
        """What the table says about the choice of a method."""
        best = self.best()
        if best is None:
            return ["On none of the measured pairs did a method gain over training on the source for longer."]
        listed = "; ".join(
            f"{pair.pair} {_signed(pair.methods[best])} of {pair.oracle.mean:.1f} possible"
            for pair in self.pairs
        )
        found = [
            f"On the pairs that segshift was measured on, {best} gained most over the control: {listed}."
        ]
        hurt = [pair.pair for pair in self.pairs if pair.methods[best].mean < 0]
        unsure = [
            pair.pair for pair in self.pairs if pair.methods[best].mean >= 0 and not pair.methods[best].sure
        ]
        if hurt:
            found.append(f"It lost on {', '.join(hurt)}: measure it on labelled target images before use.")
        if unsure:
            found.append(f"On {', '.join(unsure)} that is less than twice the spread over the seeds.")
        more = [
            f"{name} {_signed(pair.methods[name])} on {pair.pair}"
            for pair in self.pairs
            if (name := self.best_of_pairs().get(pair.pair, best)) != best
        ]
        if more:
            found.append(f"Single pairs gained more by another: {'; '.join(more)}.")
        return found


@cache
def measurements() -> Measurements:
    """The table that comes with the package."""
    text = resources.files("segshift.analysis.diagnosis").joinpath(_FILE).read_text(encoding="utf-8")
    return Measurements(tuple(parse(_File, parse_yaml(text, where=_FILE), where=_FILE).pairs))


def _signed(gain: Gain) -> str:
    return f"{gain.mean:+.1f} ± {gain.spread:.1f}"
