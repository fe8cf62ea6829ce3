"""The normalisation layers of any network: what may be trained alone, and what AdaBN can work on."""

from torch import nn

from segshift.errors import InputError


def normalization_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Scales and offsets of the normalisation layers in `module`, of whatever kind and library.

    Batch, layer, group and instance norm, root-mean-square norm, and the variants of timm and transformers
    all carry `Norm` in the name of their class, and their parameters are their own.
    """
    return [
        parameter
        for child in module.modules()
        if "norm" in type(child).__name__.lower()
        for parameter in child.parameters(recurse=False)
    ]


def train_normalization_only(module: nn.Module) -> None:
    """Let the scales and offsets of the normalisation layers train and nothing else.

    Raises:
        InputError: a network without any.

    Source: Wang et al., Tent: fully test-time adaptation by entropy minimization, ICLR 2021, section 3.2.
    """
    trained = normalization_parameters(module)
    if not trained:
        raise InputError("trained: normalization: this network has no normalisation layer with parameters")
    module.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
