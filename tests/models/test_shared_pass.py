"""One pass for two turns against two passes."""

import pytest
import torch
from torch import nn

from segshift.gradients import add_gradients
from segshift.models import FullyConvolutionalDiscriminator
from segshift.models.shared_pass import shared_pass


def test_gradients_are_those_of_two_passes_bit_by_bit() -> None:
    torch.manual_seed(0)
    maker, judge = nn.Conv2d(3, 4, 1), FullyConvolutionalDiscriminator(4, base=4)
    images = torch.randn(2, 3, 64, 32)
    maps = maker(images).softmax(dim=1)
    made, judged = list(maker.parameters()), list(judge.parameters())
    wanted = [torch.autograd.grad(judge(maps).square().mean(), made, retain_graph=True)]
    wanted += [torch.autograd.grad(judge(maps.detach()).sigmoid().sum(), judged)]
    for_input, for_itself = shared_pass(judge, maps)
    assert for_input.equal(for_itself)
    add_gradients(for_input.square().mean(), made)
    assert all(parameter.grad is None for parameter in judged)
    before = [parameter.grad.clone() for parameter in made if parameter.grad is not None]
    add_gradients(for_itself.sigmoid().sum(), judged)
    for parameters, gradients in zip((made, judged), wanted, strict=True):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            assert parameter.grad is not None and parameter.grad.equal(gradient)
    assert all(a.equal(b.grad) for a, b in zip(before, made, strict=True) if b.grad is not None)


def test_the_network_runs_once_and_in_the_precision_of_autocast() -> None:
    network, runs = nn.Linear(4, 2), []
    network.register_forward_hook(lambda *_: runs.append(1))
    x = torch.randn(3, 4, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        first, second = shared_pass(network, x)
    assert len(runs) == 1 and first.dtype == second.dtype == torch.bfloat16
    first.float().sum().backward()
    weight = network.weight.bfloat16().float()
    torch.testing.assert_close(x.grad, weight.sum(0).expand(3, 4), rtol=1e-2, atol=1e-3)
    assert network.weight.grad is None
    second.float().sum().backward()
    assert network.weight.grad is not None


def test_a_constant_input_leaves_the_second_answer() -> None:
    network = nn.Linear(4, 2)
    first, second = shared_pass(network, torch.ones(1, 4))
    assert not first.requires_grad
    with pytest.raises(RuntimeError, match="does not require grad"):
        first.sum().backward()
    second.sum().backward()
    assert network.bias.grad is not None
