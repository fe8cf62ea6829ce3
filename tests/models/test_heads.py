"""The classifiers against their parts, one after the other."""

import pytest
import torch
import torch.nn.functional as F

from segshift.models import DAFormerHead, DeepLabV2Head, FCN8sHead, LinearHead, SegFormerHead


def test_head_is_the_sum_of_dilated_convolutions() -> None:
    torch.manual_seed(0)
    head = DeepLabV2Head(5, 3, (1, 2, 4)).double()
    x = torch.randn(2, 5, 9, 11, dtype=torch.float64)
    expected = torch.zeros(2, 3, 9, 11, dtype=torch.float64)
    for dilation, branch in zip((1, 2, 4), head.branches, strict=True):
        padded = F.pad(x, [dilation] * 4)
        for i in range(3):
            for j in range(3):
                shifted = padded[:, :, i * dilation : i * dilation + 9, j * dilation : j * dilation + 11]
                weight = branch.get_parameter("weight")[:, :, i, j]
                expected += torch.einsum("nfhw,cf->nchw", shifted, weight)
    torch.testing.assert_close(head(x), expected)


def test_defaults_and_initial_weights() -> None:
    torch.manual_seed(0)
    head = DeepLabV2Head(256, 19)
    assert [branch.dilation for branch in head.branches] == [(6, 6), (12, 12), (18, 18), (24, 24)]
    weights = torch.cat([branch.get_parameter("weight").flatten() for branch in head.branches])
    assert abs(weights.std().item() - 0.01) < 2e-4
    assert abs(weights.mean().item()) < 2e-4
    assert all((branch.get_parameter("bias") == 0).all() for branch in head.branches)


def doubled(scores: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Bilinear up-sampling with aligned corners, pixel by pixel."""
    result = torch.zeros(*scores.shape[:2], height, width, dtype=scores.dtype)
    for i in range(height):
        for j in range(width):
            y = i * (scores.shape[2] - 1) / (height - 1)
            x = j * (scores.shape[3] - 1) / (width - 1)
            top, left = min(int(y), scores.shape[2] - 2), min(int(x), scores.shape[3] - 2)
            for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
                share = (1 - abs(y - top - dy)) * (1 - abs(x - left - dx))
                result[:, :, i, j] += share * scores[:, :, top + dy, left + dx]
    return result


@pytest.mark.parametrize("factors", [(1.0, 1.0), (1e-4, 1e-2)])
def test_fcn8s_adds_the_levels_scores(factors: tuple[float, float]) -> None:
    torch.manual_seed(0)
    head = FCN8sHead((4, 5, 6), 3, factors).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    pyramid = [
        100 * torch.randn(2, channels, height, width, dtype=torch.float64)
        for channels, height, width in ((4, 7, 10), (5, 4, 5), (6, 2, 3))
    ]
    scores = [
        torch.einsum("nfhw,cf->nchw", factor * features, score.get_parameter("weight")[:, :, 0, 0])
        + score.get_parameter("bias")[:, None, None]
        for features, score, factor in zip(pyramid, head.scores, (*factors, 1.0), strict=True)
    ]
    expected = doubled(doubled(scores[2], 4, 5) + scores[1], 7, 10) + scores[0]
    torch.testing.assert_close(head(pyramid), expected)


def test_fcn8s_initial_weights() -> None:
    torch.manual_seed(0)
    head = FCN8sHead((256, 512, 4096), 19)
    weights = torch.cat([score.get_parameter("weight").flatten() for score in head.scores])
    assert abs(weights.std().item() - 0.01) < 2e-4
    assert all((score.get_parameter("bias") == 0).all() for score in head.scores)


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# MiT-B5's and -B0's channels.
@pytest.mark.parametrize(
    ("head", "millions"),
    [
        # SegFormer, Table 1a: the decoders of B0 and of B2 to B5; DAFormer, section 3.2.
        (SegFormerHead((32, 64, 160, 256), 150, width=256), 0.4),
        (SegFormerHead((64, 128, 320, 512), 150, width=768), 3.3),
        (DAFormerHead((64, 128, 320, 512), 19), 3.7),
    ],
)
def test_decoders_have_the_published_numbers_of_parameters(head: torch.nn.Module, millions: float) -> None:
    assert round(parameters(head) / 1e6, 1) == millions


def test_linear_head_is_batch_norm_and_a_matrix() -> None:
    torch.manual_seed(0)
    head = LinearHead(6, 3).train()
    x = 2 + 3 * torch.randn(2, 6, 5, 7)
    normal = (x - x.mean((0, 2, 3), keepdim=True)) / (
        x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5
    ).sqrt()
    expected = torch.einsum("nfhw,cf->nchw", normal, head.classifier.weight[:, :, 0, 0])
    torch.testing.assert_close(head(x), expected, rtol=1e-4, atol=1e-5)


def test_segformers_decoder_joins_the_coarsest_first() -> None:
    head = SegFormerHead((2, 3, 4, 5), 3, width=2).eval()
    pyramid = [torch.randn(1, c, 8 // 2**k, 8 // 2**k) for k, c in enumerate((2, 3, 4, 5))]
    parts = []
    for embed, features in reversed(list(zip(head.embed, pyramid, strict=True))):
        scores = torch.einsum("nfhw,cf->nchw", features, embed.weight[:, :, 0, 0])
        parts.append(
            F.interpolate(
                scores + embed.bias[:, None, None], size=(8, 8), mode="bilinear", align_corners=True
            )
        )
    torch.testing.assert_close(head(pyramid), head.classifier(head.fuse(torch.cat(parts, dim=1))))


def test_daformers_branches_see_as_far_as_they_are_dilated() -> None:
    head = DAFormerHead((2, 2, 2, 2), 3, width=4).eval()
    reach = []
    for branch in head.branches:
        x = torch.randn(1, 16, 41, 41, requires_grad=True)
        branch(x)[0, :, 20, 20].sum().backward()
        rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
        reach.append(int((rows - 20).abs().max()))
    assert reach == [0, 6, 12, 18]
