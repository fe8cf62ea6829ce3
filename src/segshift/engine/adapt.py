"""Adapting a trained network to images alone: a recipe without source images, filled in and run."""

import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from segshift.config import Settings, apply_overrides, assignments, did_you_mean, parse
from segshift.engine.adapt_images import Images, TargetImages, target_images
from segshift.engine.health import read_records
from segshift.engine.loggers import scores_by_step
from segshift.engine.plan import make_plan
from segshift.engine.processes import training_on
from segshift.engine.recipe import Recipe
from segshift.engine.recipe_files import read_recipe
from segshift.engine.run import run_recipe
from segshift.errors import InputError
from segshift.folders import RunFolder, model_path
from segshift.label_free_scores import SCORES, goodness
from segshift.models.batch_norm import batch_norms
from segshift.models.exported import ExportedSegmenter
from segshift.models.loading import load
from segshift.models.segmenter import Segmenter
from segshift.progress import SILENT, Progress
from segshift.sizes import WidthHeight

PRESETS = {"adabn": "adapt_adabn", "tent": "adapt_tent", "self_training": "adapt_self_training"}
"""The presets of the methods that have a short name."""

# So often the scores are looked at in a run whose length the user chose.
_EVALUATIONS = 6


@dataclass(frozen=True)
class Adaptation:
    """What came of adapting a network.

    Attributes:
        segmenter: what was kept: the adapted network, or the original.
        folder: the run's; gone if none was asked for.
        step: after which the kept network was taken; 0 is the original.
        score: the label-free score that decided.
        before: the original's label-free scores, with `target_miou` where there are labels.
        after: those of the best checkpoint, whether it was kept or not.
        results: of the run, as in its results.json.
    """

    segmenter: Segmenter = field(repr=False)
    folder: Path
    step: int
    score: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    results: Mapping[str, Any] = field(repr=False)

    @property
    def kept(self) -> str:
        """`adapted` or `original`."""
        return "adapted" if self.step else "original"

    @property
    def worse(self) -> tuple[str, ...]:
        """The label-free scores that adaptation made worse."""
        both = [name for name in SCORES if name in self.before and name in self.after]
        return tuple(
            name for name in both if goodness(name, self.after[name]) < goodness(name, self.before[name])
        )

    @property
    def verdict(self) -> str:
        """What happened, in two sentences."""
        before, after = self.before[self.score], self.after[self.score]
        places = 3 if abs(after - before) > 5e-4 or after == before else 6  # two that differ are shown so
        change = f"{SCORES[self.score].words} {before:.{places}f} before, {after:.{places}f} after"
        if not self.step:
            return (
                f"The original network was kept: adapting made it no better ({change}). Try another --method."
            )
        others = ", ".join(SCORES[name].words for name in self.worse)
        doubt = f"Got worse: {others}." if others else "No label-free score got worse."
        return f"The adapted network was kept ({change}). {doubt} No label was seen: look at predictions."

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "folder": str(self.folder),
            "kept": self.kept,
            "step": self.step,
            "score": self.score,
            "before": dict(self.before),
            "after": dict(self.after),
            "worse": list(self.worse),
            "verdict": self.verdict,
            "results": dict(self.results),
        }


def adapt(
    model: str | Path | Segmenter,
    images: Images,
    out: str | Path | None = None,
    *,
    method: str = "self_training",
    steps: int | None = None,
    seed: int = 0,
    size: WidthHeight | None = None,
    settings: Settings = (),
    resume: bool = False,
    skip_bad: bool = False,
    device: str | torch.device | None = None,
    progress: Progress = SILENT,
) -> Adaptation:
    """Adapt a trained network to unlabelled images, without those that it was trained on.

    Label-free scores are taken of the original and of the network as it adapts; the best one by
    `training.select` is kept, which may be the original.

    Args:
        model: a network, a run folder, RUN@STEP or a model file.
        images: a file, a folder, several of them, one data set (`FILE.yaml:SPLIT`, `camvid:ROOT:SPLIT`), or
            the images themselves: a list of PIL images, arrays or tensors, an array (N, H, W, 3), a tensor
            (N, 3, H, W), uint8 or in [0, 1], or a torch data set, whose labels are not used.
        out: run folder, like that of `segshift train`; None keeps nothing but the network.
        method: adabn, tent, self_training, or the YAML of a recipe with `source: {dataset: none}`.
        steps: optimizer steps instead of the method's own number.
        seed: of everything random.
        size: (width, height) in px at which the network sees the images; None takes its own input size or,
            where it has none, that of the images.
        settings: of the recipe's keys: {"a.b": value}, or "a.b=value" as for --set.
        resume: go on with an unfinished run in `out`.
        skip_bad: leave out images that cannot be used, instead of refusing to start.
        device: where it trains; None takes a GPU if there is one.
        progress: who hears how it goes.

    Raises:
        InputError: images that cannot be used or none, a method that does not fit the network or needs source
            images, or a folder with another run.
        errors.StoppedError: Ctrl-C or SIGTERM, after saving.
        errors.NonFiniteError: with the last good checkpoint in place.

    Example:
        >>> import segshift
        >>> adapted = segshift.adapt("runs/day", "photos/", method="tent")  # doctest: +SKIP
        >>> print(adapted.verdict)  # doctest: +SKIP
    """
    with tempfile.TemporaryDirectory() if out is None else nullcontext(out) as place:
        folder = Path(place)
        start, origin = _start(model, folder)
        data = target_images(images, folder, start, skip_bad, progress)
        filled = _filled(method, start, data, size, steps) | {"init_from": origin, "seed": seed}
        filled["training"]["skip_bad"] = skip_bad
        filled = apply_overrides(filled, assignments(settings))
        recipe = _checked(parse(Recipe, filled, method), method, start)
        with training_on(device):
            results = run_recipe(recipe, folder, progress, resume)
        return _outcome(folder, results, recipe.training.select)


def _start(model: str | Path | Segmenter, folder: Path) -> tuple[Segmenter, str]:
    """The network, and where it lies; one that lies nowhere is written below the run folder."""
    if not isinstance(model, Segmenter):
        start = load(model)
        if isinstance(start, ExportedSegmenter):
            start.refuse()
        return start, str(model_path(model).absolute())
    # In a folder of its own: beside the run's files it would be taken for the run's own model.
    file = RunFolder(folder / "original").model
    model.save(file)
    return model, str(file.absolute())


def _filled(
    method: str, start: Segmenter, data: TargetImages, size: WidthHeight | None, steps: int | None
) -> dict[str, Any]:
    """The method's recipe, about this network and these images."""
    preset = PRESETS.get(method, method)
    if preset == method and Path(method).suffix not in (".yaml", ".yml"):
        raise InputError(f"--method {method}: no such method{did_you_mean(method, list(PRESETS))}")
    recipe = read_recipe(preset)
    size = size or start.config.input_size
    own = {key: value for key, value in recipe.get("model", {}).items() if key.startswith("batch_norm")}
    recipe["model"] = {**start.config.model_dump(mode="json"), **own}
    target = {**recipe.get("target", {}), "dataset": data.dataset}
    # Padding would be adapted to as well: images that are padded to be predicted cover the size instead.
    fit = "stretch" if start.config.input_fit == "stretch" else "cover"
    sizes = {"resize": size, "fit": fit, "crop": data.crop(size)}
    target["augmentation"] = {**target.get("augmentation", {}), **sizes}
    recipe |= {
        "target": target,
        "evaluation": {**recipe.get("evaluation", {}), "fit": start.config.input_fit},
    }
    recipe["training"] = dict(recipe.get("training", {}))
    if steps is not None and _is_adabn(recipe):
        raise InputError("--steps: adabn trains nothing, so it has no number of steps; leave it out")
    if steps is not None:
        every = max(1, steps // _EVALUATIONS)
        recipe["training"] |= {"steps": steps, "evaluate_every": every}
    if _is_adabn(recipe) and (size is None or fit == "cover") and not data.one_size:
        recipe["method"] = {**recipe["method"], "batch_size": 1}
    return recipe


def _is_adabn(recipe: Mapping[str, Any]) -> bool:
    return bool(recipe.get("method", {}).get("name") == "adabn")


def _checked(recipe: Recipe, method: str, start: Segmenter) -> Recipe:
    """The recipe, if it can be run on this network. Raises InputError."""
    if recipe.has_source:
        raise InputError(
            f"--method {method}: has source images, which is for `segshift train`; set source.dataset: none"
        )
    if recipe.training.select not in SCORES or not recipe.training.evaluate_start:
        raise InputError(
            f"--method {method}: training.select and training.evaluate_start decide whether the original is "
            f"kept; set them to true and a score ({', '.join(SCORES)})"
        )
    if recipe.method.get("name") == "adabn" and not batch_norms(start):
        raise InputError(
            "--method adabn: this network has no batch norm whose statistics could be replaced; take tent or "
            "self_training"
        )
    return make_plan(recipe, method).recipe


def _outcome(folder: Path, results: Mapping[str, Any], score: str) -> Adaptation:
    """What a finished run says of itself."""
    run = RunFolder(folder)
    history = scores_by_step(read_records(run.metrics))
    kept = int(results["selection"]["step"])
    later = {step: scores for step, scores in history.items() if step > 0 and scores.get(score) is not None}
    best = kept or max(later, key=lambda step: goodness(score, later[step][score]), default=0)
    return Adaptation(load(folder), folder, kept, score, history[0], history[best], results)
