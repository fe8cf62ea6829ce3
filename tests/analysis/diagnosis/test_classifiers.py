"""The networks that tell domains apart: shapes, size, and that they learn a domain that is another."""

import pytest
import torch
import torch.nn.functional as F

from segshift.analysis.diagnosis.classifiers import Network, domain_classifier


@pytest.mark.parametrize("name", ["small", "resnet18"])
@pytest.mark.parametrize("size", [(96, 128), (12, 12)])
def test_maps_of_any_size_give_one_logit(name: Network, size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert domain_classifier(name, 5).eval()(torch.zeros(2, 5, *size)).shape == (2, 1)


def test_the_small_network_learns_where_things_are() -> None:
    torch.manual_seed(0)
    network = domain_classifier("small", 1)
    images = torch.zeros(16, 1, 32, 32)
    images[:8, :, :16], images[8:, :, 16:] = 1, 1  # bright above, and bright below
    truth = torch.tensor([0.0] * 8 + [1.0] * 8)[:, None]
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(network(images), truth).backward()
        optimizer.step()
    assert ((network(images) > 0) == truth.bool()).all()
