"""DeepLab-v2's classifier against its parts, one after the other."""

import torch
import torch.nn.functional as F

from segshift.models import DeepLabV2Head


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
