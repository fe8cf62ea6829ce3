"""Which of a backbone's parameters are trained: all, none, or low-rank additions to its weights (LoRA)."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from segshift.errors import InputError
from segshift.models.segmenter_config import BackboneTraining, LoraConfig

# How attention is called in the names of timm's and transformers' modules.
_ATTENTION = ("attn", "attention")
_NAMED_AT_MOST = 12


class LowRank(nn.Module):
    r"""A frozen weight with a trained addition of low rank.

    .. math:: W' = W + \frac{\alpha}{r} B A, \quad B = 0 \text{ at the start}

    with W as a matrix of outputs times all the rest. Starts as the weight alone.

    Args:
        weight: (O, ...), of a linear layer or a convolution.
        rank: r.
        alpha: the factor's numerator.

    Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022, section 4.1; how A is
    drawn is their code's.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = len(weight), weight[0].numel()
        rank = min(rank, rows, columns)
        self.down = nn.Parameter(weight.new_empty(rank, columns))
        self.up = nn.Parameter(weight.new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.scale = alpha / rank

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with its addition, of the same shape."""
        return weight + self.scale * (self.up @ self.down).view(weight.shape)


def set_backbone_training(backbone: nn.Module, how: BackboneTraining, lora: LoraConfig | None = None) -> None:
    """Decide which parameters of a network are trained; to be called once, after its weights are loaded.

    Args:
        backbone: changed in place. Under `lora` its layers' weights become the modules' `parametrizations`,
            also where another module reads them (BEiT, EVA); `merged_state` takes that back.
        how: all = as they are; frozen = none; lora = none but the low-rank additions, which are drawn from
            torch's global generator.
        lora: the settings of the additions; None takes the default ones.

    Raises:
        InputError: `lora.layers` that there are not.
    """
    if how == "all":
        return
    backbone.requires_grad_(False)
    if how == "lora":
        lora = lora or LoraConfig()
        for layer in _chosen(backbone, lora.layers):
            addition = LowRank(layer.weight, lora.rank, lora.alpha)
            parametrize.register_parametrization(layer, "weight", addition)


def merged_state(module: nn.Module) -> dict[str, Tensor]:
    """The state dict of `module` with its low-rank additions in the weights, as the plain network has it."""
    state = dict(module.state_dict())
    for name, layer in module.named_modules():
        if not _has_addition(layer):
            continue
        inner = f"{name}.parametrizations.weight."
        state = {key: value for key, value in state.items() if not key.startswith(inner)}
        with torch.no_grad():
            state[f"{name}.weight"] = layer.weight
    return state


def trained_share(parameters: Sequence[nn.Parameter]) -> str:
    """How many of the numbers are trained: "1.2 M of 85.8 M parameters are trained (1.4 %)"."""
    total = sum(parameter.numel() for parameter in parameters)
    trained = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return f"{in_words(trained)} of {in_words(total)} parameters are trained ({100 * trained / total:.2g} %)"


def in_words(count: int) -> str:
    """A number of parameters: "85.8 M", "12345"."""
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count}"


def _has_addition(layer: nn.Module) -> bool:
    if not parametrize.is_parametrized(layer, "weight"):
        return False
    computed: Any = layer.parametrizations  # by the parameter's name
    return isinstance(computed["weight"][0], LowRank)


def _chosen(backbone: nn.Module, ends: Sequence[str] | None) -> list[nn.Linear | nn.Conv2d]:
    """The layers that get an addition; those whose weight is computed already (spectral norm) never do."""
    layers = {
        name: layer
        for name, layer in backbone.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and not parametrize.is_parametrized(layer)
    }
    if ends is None:
        linear = {name: layer for name, layer in layers.items() if isinstance(layer, nn.Linear)}
        attention = [name for name in linear if any(word in name.lower() for word in _ATTENTION)]
        ungrouped = [name for name, layer in layers.items() if name in linear or layer.groups == 1]
        return [layers[name] for name in attention or ungrouped]
    for end in ends:
        if not any(_ends(name, end) for name in layers):
            known = list(dict.fromkeys(".".join(_words(name)[-2:]) for name in layers))
            more = " ..." if len(known) > _NAMED_AT_MOST else ""
            raise InputError(
                f"model.lora.layers: no linear or convolutional layer's name ends in {end!r}; there are "
                f"{', '.join(known[:_NAMED_AT_MOST])}{more}"
            )
    return [layer for name, layer in layers.items() if any(_ends(name, end) for end in ends)]


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith(f".{end}")


def _words(name: str) -> list[str]:
    """The parts of a module's name that are no numbers."""
    return [part for part in name.split(".") if not part.isdigit()]
