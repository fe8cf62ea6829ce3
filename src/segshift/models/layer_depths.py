"""How deep in its network each parameter of a timm backbone lies, for rates that fall towards the image."""

import re
from collections.abc import Iterable
from typing import Any

import timm
import torch
from timm.models import group_parameters

from segshift.errors import InputError


def layer_depths(backbone: str, names: Iterable[str]) -> dict[str, int]:
    """How many layers lie between each parameter of a timm backbone and its head: 1 for the last block.

    What a layer is, is timm's own grouping: each block of a vision transformer, Swin or ConvNeXt, each stage
    of some others; patch embedding, tokens and position embeddings are the first, a last norm belongs to
    the last block.

    Args:
        backbone: timm's name.
        names: of parameters of the feature extractor that timm makes of it, in whatever wrappers.

    Raises:
        InputError: not a network of timm.

    Source: the layer-wise decay of Clark et al., ELECTRA, ICLR 2020, as BEiT uses it for images.
    """
    if not timm.is_model(backbone):
        raise InputError(
            f"layer_decay: {backbone} is not a network of timm, whose layers are known; set layer_decay: 1"
        )
    with torch.device("meta"):
        classifier: Any = timm.create_model(backbone)
    groups: dict[str, int] = group_parameters(
        classifier, classifier.group_matcher(coarse=False), reverse=True
    )
    # `features_only` joins the first two parts of a name by an underscore.
    groups |= {key.replace(".", "_", 1): group for key, group in groups.items()}
    found = {name: _group(name, groups) for name in names}
    last = max((group for group in found.values() if group is not None), default=0)
    return {name: 1 if group is None else last - group + 1 for name, group in found.items()}


def _group(name: str, groups: dict[str, int]) -> int | None:
    """The group of a name without what wrappers and additions put around it; None where timm knows none."""
    name = re.sub(r"\.parametrizations\.(\w+)\.[\w.]+$", r".\1", name)
    while name not in groups and "." in name:
        name = name.partition(".")[2]
    return groups.get(name)
