"""Patches of an image that a vision transformer does not see: their tokens give way to another."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from timm.layers.patch_embed import PatchEmbed
from torch import Tensor, nn

from segshift.errors import InputError


def patch_embedding(backbone: nn.Module) -> PatchEmbed:
    """What makes tokens of patches in a network of timm (ViT, DINOv2, DINOv3, EVA, BEiT, Swin ...).

    Raises:
        InputError: a network without.
    """
    found = [module for module in backbone.modules() if isinstance(module, PatchEmbed)]
    if not found:
        raise InputError("mask: tokens: this backbone has no tokens of patches; set mask: pixels")
    return found[0]


def token_channels(backbone: nn.Module) -> int:
    """D of the tokens. Raises InputError for a network without."""
    return int(patch_embedding(backbone).proj.out_channels)


@contextmanager
def masking_tokens(
    backbone: nn.Module, token: Tensor, kept: Callable[[Tensor, int], Tensor]
) -> Iterator[None]:
    """Inside the block, patches that are not kept enter the transformer as `token`.

    Position embeddings are added afterwards, so that it knows where something is missing.

    Args:
        backbone: with a `patch_embedding`.
        token: (D,) in their place.
        kept: of the tokens' map (N, D, h, w) and a patch's side in px, (N, 1, h, w): 1 where one is kept.

    Source: DINOv2 (Oquab et al., TMLR 2024) and iBOT, which mask so in pre-training.
    """
    embedding = patch_embedding(backbone)
    height, width = embedding.patch_size

    def mask(module: nn.Module, inputs: tuple[Any, ...], tokens: Tensor) -> Tensor:
        rows, columns = inputs[0].shape[-2] // height, inputs[0].shape[-1] // width
        grid = tokens.view(len(tokens), rows, columns, -1)
        stays = kept(grid.permute(0, 3, 1, 2), height).permute(0, 2, 3, 1) > 0
        return torch.where(stays, grid, token.to(grid.dtype)).view(tokens.shape)

    handle = embedding.register_forward_hook(mask)
    try:
        yield
    finally:
        handle.remove()
