"""Masked tokens of vision transformers, against a transformer's forward pass written out."""

from typing import Any

import pytest
import torch
from torch import Tensor

from segshift.errors import InputError
from segshift.models import build_backbone
from segshift.models.token_mask import masking_tokens, patch_embedding, token_channels


def checkered(maps: Tensor, cell_px: int) -> Tensor:
    """Keeps every second token, beginning with the first."""
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in maps.shape[-2:]), indexing="ij")
    return ((rows + columns) % 2 == 0).float().expand(len(maps), 1, -1, -1)


def test_tokens_give_way_before_positions_are_added() -> None:
    torch.manual_seed(0)
    network: Any = build_backbone("test_vit", "none", "native").network.eval()
    token, images = torch.randn(64), torch.rand(2, 3, 32, 48)
    with torch.no_grad(), masking_tokens(network, token, checkered):
        masked = network(images)[-1]
    vit = getattr(network, "network", network).model
    with torch.no_grad():
        tokens = vit.patch_embed(images).reshape(2, 2, 3, 64).clone()
        for y, x in ((0, 1), (1, 0), (1, 2)):
            tokens[:, y, x] = token
        entered = tokens if getattr(vit, "dynamic_img_size", False) else tokens.reshape(2, 6, 64)
        expected = vit.norm(vit.blocks(vit.norm_pre(vit._pos_embed(entered))))
    expected = expected[:, -6:].transpose(1, 2).reshape(2, 64, 2, 3)
    torch.testing.assert_close(masked, expected)
    with torch.no_grad():
        assert not torch.allclose(network(images)[-1], masked), "outside of the block nothing is masked"


@pytest.mark.parametrize(
    ("name", "channels", "patch"),
    [
        ("vit_small_patch14_dinov2", 384, 14),
        ("vit_small_patch14_reg4_dinov2", 384, 14),
        ("vit_small_patch16_dinov3", 384, 16),
        ("beit_base_patch16_224", 768, 16),
        ("swin_tiny_patch4_window7_224", 96, 4),
    ],
)
def test_which_networks_have_tokens(name: str, channels: int, patch: int) -> None:
    with torch.device("meta"):
        network = build_backbone(name, "none", "native").network
        seen: list[tuple[int, ...]] = []

        def kept(maps: Tensor, cell_px: int) -> Tensor:
            seen.append((*maps.shape, cell_px))
            return checkered(maps, cell_px)

        with torch.no_grad(), masking_tokens(network, torch.zeros(channels), kept):
            network(torch.zeros(1, 3, 224, 224))
    assert token_channels(network) == channels
    assert seen == [(1, channels, 224 // patch, 224 // patch, patch)]


def test_a_network_without_tokens_is_one_line() -> None:
    with pytest.raises(InputError, match=r"mask: tokens: this backbone has no tokens.*set mask: pixels"):
        patch_embedding(build_backbone("segshift_tiny").network)
