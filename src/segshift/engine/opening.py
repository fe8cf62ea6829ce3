"""What a run says of itself before it begins, and how long it will take."""

import time

from segshift.engine.datasets import Domains
from segshift.engine.processes import Processes
from segshift.engine.recipe import Recipe
from segshift.methods import Method, parse_method
from segshift.models.backbone_training import in_words, trained_share
from segshift.models.segmenter import Segmenter

# The first step pays for what is made once; so many after it tell a machine's pace.
_TIMED_STEPS = 5


def opening(recipe: Recipe, domains: Domains, method: Method, processes: Processes) -> str:
    """Device, network, number of parameters and images, in one line."""
    several = f" in {processes.count} processes" if processes.count > 1 else ""
    parsed = parse_method(recipe.method)
    network = recipe.model.backbone if parsed.needs_segmenter else str(recipe.method.get("name", "align"))
    numbers = sum(parameter.numel() for parameter in method.parameters())
    named = {
        "source": domains.describe("source"),
        "target": domains.describe("target"),
        **{name: domains.describe(name) for name in recipe.labelled_streams},
        "evaluated on": domains.describe("evaluation"),
    }
    data = "; ".join(f"{key} {what}" for key, what in named.items() if what is not None)
    counted = f"{in_words(numbers)} parameters"
    learner = next((child for child in method.children() if isinstance(child, Segmenter)), None)
    if learner is not None and recipe.model.backbone_training != "all":
        how = {"frozen": "backbone frozen", "lora": "LoRA"}[recipe.model.backbone_training]
        counted = f"{how}: {trained_share(list(learner.parameters()))}"
    return f"on {processes.device}{several}: {network}, {counted}; {data}"


class Estimate:
    """How long the steps take in all, said once when some have been timed; validations come on top.

    Args:
        done: steps that were done before.
        steps: of the whole run.
    """

    def __init__(self, done: int, steps: int) -> None:
        self._first, self._steps = done + 1, steps
        self._started = 0.0

    def after(self, done: int) -> str | None:
        """To be called after every step; the line to print, or None."""
        if done == self._first:
            self._started = time.monotonic()
        if done != self._first + _TIMED_STEPS or done == self._steps:
            return None
        pace_s = (time.monotonic() - self._started) / _TIMED_STEPS
        return f"about {duration((self._steps - done) * pace_s)} to go, at {pace_s:.2g} s a step"


def duration(seconds: float) -> str:
    """A time in the unit that people would use: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
