"""From a recipe to objects: the segmenter, the method, its optimizers."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from segshift.data.labels import ClassSet
from segshift.engine.hollow import misfit
from segshift.engine.plan import check_networks
from segshift.engine.recipe import Recipe
from segshift.engine.seeds import derive_seed
from segshift.engine.step import StepSettings
from segshift.engine.training_config import CLASSIFIERS, OptimizerConfig, TrainingConfig
from segshift.errors import InputError
from segshift.methods import Method, parse_method
from segshift.models.backbone_training import set_backbone_training
from segshift.models.layer_depths import layer_depths
from segshift.models.loading import load
from segshift.models.segmenter import Segmenter

# Parts that a network may lack without the recipe being wrong.
_PARTS = ("backbone", *CLASSIFIERS)
# Where PyTorch has fused Adam and AdamW.
_FUSED_ON = ("cpu", "cuda")


def build_segmenter(recipe: Recipe, classes: ClassSet) -> Segmenter:
    """A new segmenter from `recipe.model`, or one that continues from `recipe.init_from`.

    What a start may lack, `misfit` says.

    Raises:
        InputError: weights that are missing or do not fit the recipe's network or classes.
    """
    torch.manual_seed(derive_seed(recipe.seed, 1))
    settings = recipe.model.model_copy(
        update={"input_size": recipe.inference_size(), "input_fit": recipe.inference_fit()}
    )
    if recipe.init_from is None:
        return Segmenter(settings, classes)
    start = load(recipe.init_from)
    if tuple(start.class_names) != tuple(classes.names):
        raise InputError(
            f"init_from = {recipe.init_from}: was trained on the classes {', '.join(start.class_names)}, "
            f"this run has {', '.join(classes.names)}; start from a model with the same classes"
        )
    # A model file has whole weights, so that nothing is added to them before they are loaded.
    bare = settings.model_copy(update={"weights": "none", "backbone_training": "all"})
    segmenter = Segmenter(bare, classes, pixel_statistics=start.pixel_statistics)
    weights, wanted = start.state_dict(), segmenter.state_dict()
    if problem := misfit(weights, wanted):
        raise InputError(
            f"init_from = {recipe.init_from}: does not fit model = {recipe.model.title()} "
            f"({problem}); use the model section it was trained with (its run folder's config.yaml)"
        )
    segmenter.load_state_dict(weights, strict=False)
    set_backbone_training(segmenter.backbone, settings.backbone_training, settings.lora)
    return segmenter


def build(recipe: Recipe, classes: ClassSet) -> Method:
    """The recipe's method around its segmenter, with all initial weights drawn from the recipe's seed."""
    method = parse_method(recipe.method)
    segmenter = build_segmenter(recipe, classes) if method.needs_segmenter else None
    torch.manual_seed(derive_seed(recipe.seed, 2))
    built = method.build(segmenter)
    if not recipe.has_source and (built.needs_source or not (built.uses_target or recipe.labelled_streams)):
        raise InputError(
            f"{recipe.name}: source.dataset is none, and this method needs source images: give --source, or "
            "take a method that works without (docs/adapt.md)"
        )
    return built


def build_optimizers(method: Method, recipe: Recipe) -> dict[str, Optimizer]:
    """One optimizer per network, with a parameter group per learning-rate multiplier.

    Raises:
        InputError: `optimizers` names a network that the method does not have, a multiplier's key matches no
            parameter, or the layers of the backbone are not known for `layer_decay`.
    """
    networks = method.networks()
    check_networks(list(recipe.optimizers), list(networks))
    names = {id(parameter): _short(name) for name, parameter in method.named_parameters()}
    return {
        network: _optimizer(
            settings := recipe.optimizer_for(network),
            parameters,
            names,
            network,
            _layer_factors(settings.layer_decay, recipe, names.values()),
        )
        for network, parameters in networks.items()
    }


def step_settings(training: TrainingConfig, device: torch.device) -> StepSettings:
    """How a step clips and in which precision it computes."""

    def autocast() -> AbstractContextManager[object]:
        if training.precision == "fp32":
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)

    return StepSettings(clip_norm=training.clip_norm, autocast=autocast)


def set_learning_rates(optimizers: dict[str, Optimizer], recipe: Recipe, step: int) -> dict[str, float]:
    """Set every group's rate for `step`; return each network's rate without multipliers."""
    rates = {}
    for network, optimizer in optimizers.items():
        settings = recipe.optimizer_for(network)
        rates[network] = settings.schedule.at(settings.lr, step, recipe.training.steps)
        for group in optimizer.param_groups:
            group["lr"] = rates[network] * group["multiplier"]
    return rates


def _short(name: str) -> str:
    """A parameter's name as a recipe's author knows it: without the method's own `segmenter.`."""
    return name.removeprefix("segmenter.")


def _layer_factors(decay: float, recipe: Recipe, names: Iterable[str]) -> dict[str, float]:
    """The factors on the rates of the backbone's parameters by the depth of their layers; none for 1."""
    if decay == 1:
        return {}
    if recipe.model.is_foreign:
        raise InputError(
            f"layer_decay: the layers of {recipe.model.title()} are not known; set layer_decay: 1"
        )
    own = [name for name in names if name.startswith("backbone.")]
    return {name: decay**depth for name, depth in layer_depths(recipe.model.backbone, own).items()}


def _optimizer(
    settings: OptimizerConfig,
    parameters: list[nn.Parameter],
    names: dict[int, str],
    network: str,
    layer_factors: Mapping[str, float],
) -> Optimizer:
    used = set()
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        name = names[id(parameter)]
        keys = [key for key in settings.lr_multipliers if name == key or name.startswith(key + ".")]
        used.update(keys)
        multiplier = settings.lr_multipliers[max(keys, key=len)] if keys else 1.0
        multiplier *= layer_factors.get(name, 1.0)
        groups.setdefault(multiplier, []).append(parameter)
    for key in settings.lr_multipliers:
        if key not in used and key not in _PARTS:
            raise InputError(
                f"optimizers.{network}.lr_multipliers.{key}: no parameter's name starts so; "
                f"use one of {', '.join(_PARTS)} or a longer name below them"
            )
    listed = [{"params": group, "multiplier": factor} for factor, group in groups.items()]
    if settings.kind == "sgd":
        # Not fused: torch 2.15's fails where a parameter gets its first gradient later than others.
        return SGD(listed, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay)
    family = Adam if settings.kind == "adam" else AdamW
    # One pass over every parameter, four times as fast on a CPU; other devices may lack it.
    fused = all(parameter.device.type in _FUSED_ON for parameter in parameters) or None
    return family(
        listed, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay, fused=fused
    )
