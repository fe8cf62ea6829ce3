"""Which checkpoint a run keeps as its model, and the label-free scores that may choose it.

Everything needed to go on after a stop lies in metrics.jsonl (the scores so far) and in `best/` (the best
model so far, named by its step); no memory of the process takes part.
"""

import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from segshift.data.dataset import SegmentationDataset
from segshift.data.resolve import resolve
from segshift.data.sampling import evenly
from segshift.data.spec import Split
from segshift.engine.datasets import Domains
from segshift.engine.recipe import Recipe
from segshift.engine.training_config import LAST, TARGET_MIOU
from segshift.errors import InputError
from segshift.evaluation import EvaluationResult, Inference, evaluate
from segshift.evaluation.unsupervised_scoring import score_unlabelled
from segshift.files import atomic_path
from segshift.folders import RunFolder
from segshift.label_free_scores import goodness
from segshift.models import Segmenter

Scores = dict[str, float]


class Selection:
    """The choice of `training.select` in one run folder.

    Attributes:
        score: `last`, `target_miou` or a name of `SCORES`.
        folder: of the run.
    """

    def __init__(self, recipe: Recipe, domains: Domains, folder: Path) -> None:
        """Find the images that the scores need.

        Raises:
            InputError: a selection by a score that this recipe's data cannot give.
        """
        self.recipe, self.score, self.folder = recipe, recipe.training.select, RunFolder(folder)
        self._target: SegmentationDataset | None = None
        self._source: SegmentationDataset | None = None
        count = recipe.evaluation.unsupervised_images
        if count and (recipe.training.evaluate_every or self.by_score):
            if domains.target is not None:
                # Built without labels: there is no way to a target label from here.
                target = _some(domains.target, count)
                self._target = SegmentationDataset(target, domains.classes, None, with_labels=False)
            source = source_validation_split(recipe, domains)
            if source is not None:
                self._source = SegmentationDataset(_some(source, count), domains.classes, None)
        self._check(domains)

    @property
    def by_score(self) -> bool:
        """Whether anything but the last checkpoint may be kept."""
        return self.score != LAST

    def scores(self, segmenter: Segmenter) -> Scores:
        """The label-free scores of a network; empty where the recipe asks for none."""
        found: Scores = {}
        if self._target is not None:
            found |= score_unlabelled(segmenter, self._target, inference=self.recipe.inference)
        if self._source is not None:
            size = self.recipe.source.augmentation.resize or self.recipe.inference_size()
            found["source_validation"] = evaluate(
                segmenter,
                self._source,
                Inference(input_size=size),
                batch_size=self.recipe.evaluation.batch_size,
            ).miou
        return found

    def best_step(self, history: Mapping[int, Mapping[str, Any]]) -> int | None:
        """The step with the best score, the earliest of equals; None if no step has one.

        Args:
            history: scores by step, `target_miou` among them.
        """
        values = {step: self._goodness(scores) for step, scores in sorted(history.items())}
        known = {step: value for step, value in values.items() if not math.isnan(value)}
        return max(known, key=lambda step: known[step], default=None)

    def has_stalled(self, history: Mapping[int, Mapping[str, Any]]) -> bool:
        """Whether the newest `training.patience` evaluations were no better than one before them."""
        patience, best = self.recipe.training.patience, self.best_step(history)
        return patience is not None and best is not None and sum(step > best for step in history) >= patience

    def keep(self, step: int, segmenter: Segmenter) -> None:
        """Write the model after `step` steps beside the best one before it."""
        segmenter.save(self._path(step))

    def check_kept(self, history: Mapping[int, Mapping[str, Any]]) -> None:
        """Raises InputError when a resumed run lacks the model that is the best so far."""
        best = self.best_step(history) if self.by_score else None
        if best is not None:
            self._existing(best)

    def tidy(self, best: int) -> None:
        """Drop every kept model but that of `best`. Call it once nothing refers to the others."""
        for path in self.folder.best.glob("step_*.safetensors"):
            if path != self._path(best):
                path.unlink(missing_ok=True)

    def deploy(self, best: int) -> None:
        """Put the kept model into the run folder. Raises InputError if the file is gone."""
        with atomic_path(self.folder.model) as temporary:
            shutil.copyfile(self._existing(best), temporary)

    def kept(self, best: int) -> Segmenter:
        """The kept model. Raises InputError if the file is gone."""
        return Segmenter.load(self._existing(best))

    def describe(self, best: int | None) -> str:
        """For `selected` in results.json."""
        if not self.by_score or best is None:
            return "last checkpoint"
        if best == 0 and self.recipe.training.steps:
            return f"the start, since no checkpoint was better by {self.score}"
        how = "uses target labels" if self.score == TARGET_MIOU else "label-free"
        return f"best by {self.score} at step {best} ({how})"

    def to_dict(self, best: int | None, history: Mapping[int, Mapping[str, Any]]) -> dict[str, Any] | None:
        """For `selection` in results.json; None when the last checkpoint was kept as such."""
        if not self.by_score or best is None:
            return None
        return {
            "score": self.score,
            "step": best,
            "value": history[best][self.score],
            "uses_target_labels": self.score == TARGET_MIOU,
        }

    def _goodness(self, scores: Mapping[str, Any]) -> float:
        value = scores.get(self.score)
        if value is None:  # JSON's NaN
            return math.nan
        return float(value) if self.score == TARGET_MIOU else goodness(self.score, float(value))

    def _existing(self, step: int) -> Path:
        path = self._path(step)
        if not path.is_file():
            raise InputError(
                f"{path}: the model that {self.score} selects is gone; train again with another --out folder"
            )
        return path

    def _path(self, step: int) -> Path:
        return self.folder.best_model(step)

    def _check(self, domains: Domains) -> None:
        missing = None
        if self.score == TARGET_MIOU and domains.evaluation is None:
            missing = "a labelled evaluation set: set evaluation.dataset and evaluation.split"
        elif self.score == "source_validation" and self._source is None:
            missing = (
                "labelled source images that are not trained on: set evaluation.source_validation, or hold "
                "some out with source.subset"
            )
        elif self.by_score and self.score not in (TARGET_MIOU, "source_validation") and self._target is None:
            missing = "target images: give --target or `target.dataset`"
        if missing:
            raise InputError(f"training.select: {self.score} needs {missing}")


def source_validation_split(recipe: Recipe, domains: Domains) -> Split | None:
    """Labelled source images that training does not see; None if there are none.

    `evaluation.source_validation` without the images trained on, if it is set. Else the source's split
    `val`, unless the target is of the same data set, whose `val` might be the target's. Else the images that
    `source.subset` leaves out.

    Raises:
        InputError: `evaluation.source_validation` cannot be had, has no labels, or holds nothing but
            training images; or it holds images of the target.
    """
    named, argument = recipe.evaluation.source_validation, recipe.source.dataset
    if named is not None:
        split = _unseen(resolve(named, "val"), domains)
        if not split.samples or not split.labelled:
            raise InputError(
                f"evaluation.source_validation = {named}: needs labelled images that are not trained on; "
                "name another split"
            )
        if domains.target is not None and _images(split) & _images(domains.target):
            raise InputError(
                f"evaluation.source_validation = {named}: holds images of the target; name source images"
            )
        return split
    if recipe.oracle or argument is None or domains.source is None:
        return None
    if argument != recipe.target.dataset:
        try:
            split = _unseen(resolve(argument, "val"), domains)
        except InputError:
            pass  # the data set has no such split
        else:
            if split.samples and split.labelled:
                return split
    if recipe.source.subset is None:
        return None
    split = _unseen(resolve(argument, recipe.source.split), domains)
    return split if split.samples and split.labelled else None


def _unseen(split: Split, domains: Domains) -> Split:
    """A split without the images that the source stream trains on."""
    source = set() if domains.source is None else _images(domains.source)
    seen = source.union(*map(_images, domains.also.get("source", ())))
    return replace(split, samples=tuple(one for one in split.samples if one.image not in seen))


def _images(split: Split) -> set[Path]:
    return {sample.image for sample in split.samples}


def _some(split: Split, count: int) -> Split:
    chosen = evenly(len(split.samples), count)
    return replace(split, samples=tuple(split.samples[index] for index in chosen))


def target_miou(result: EvaluationResult | None) -> Scores:
    """The oracle's score of an evaluation, where there is one."""
    return {} if result is None else {TARGET_MIOU: result.miou}
