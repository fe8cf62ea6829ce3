"""Compiled networks compute what plain ones do, and a compiler that fails ends in one line."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from segshift.engine import cost, trainer
from segshift.errors import InputError
from segshift.models.compiling import compile_networks, compiler_faults
from tests.engine.recipes import ADVERSARIAL, toy_recipe
from tests.engine.runs import assert_same_bits, run, weights
from tests.methods.networks import tiny_segmenter


@pytest.mark.parametrize("mode", ["batch", "frozen", "running"])
def test_logits_gradients_and_averages_are_the_plain_networks(mode: str) -> None:
    plain = tiny_segmenter(batch_norm=mode)
    compiled = copy.deepcopy(plain)
    # Traces as the real one does, and leaves the making of code out.
    compile_networks(compiled, backend="aot_eager")
    images = torch.rand(2, 3, 48, 32)
    for _ in range(2):
        answers = [network(network.normalize(images)).logits for network in (plain, compiled)]
        torch.testing.assert_close(answers[1], answers[0], rtol=0, atol=1e-5)
        for answer in answers:
            answer.square().mean().backward()
    assert list(plain.state_dict()) == list(compiled.state_dict())
    for mine, theirs in zip(plain.state_dict().values(), compiled.state_dict().values(), strict=True):
        torch.testing.assert_close(theirs, mine, rtol=1e-5, atol=1e-5)
    for first, second in zip(plain.parameters(), compiled.parameters(), strict=True):
        if first.requires_grad:
            torch.testing.assert_close(second.grad, first.grad, rtol=1e-5, atol=1e-6)


def test_a_compiled_run_trains_compiled_networks(
    tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = 0

    def backend(graph: Any, inputs: list[Tensor]) -> Callable[..., Any]:
        nonlocal graphs
        graphs += 1
        return graph.forward  # type: ignore[no-any-return]

    for module in (trainer, cost):
        monkeypatch.setattr(module, "compile_networks", lambda method: compile_networks(method, backend))
    for compiled in (False, True):
        # What is compiled has the library's convolutions.
        training = {"compile": compiled, "steps": 2, "convolutions": "library"}
        run(
            toy_recipe(toy_source, toy_target, method=ADVERSARIAL, training=training),
            tmp_path / str(compiled),
        )
        assert (graphs > 0) == compiled
    # Run operation by operation, it gives the same bits.
    assert_same_bits(weights(tmp_path / "False"), weights(tmp_path / "True"))


def test_a_compiler_that_fails_is_one_line() -> None:
    def broken(graph: Any, inputs: list[Tensor]) -> Callable[..., Any]:
        raise RuntimeError("no C++ compiler")

    segmenter = tiny_segmenter()
    compile_networks(segmenter, broken)
    with (
        pytest.raises(InputError, match=r"^training\.compile: .*no C\+\+ compiler.*compile: false$"),
        compiler_faults(),
    ):
        segmenter(torch.rand(1, 3, 48, 32))
    with pytest.raises(RuntimeError, match="another"), compiler_faults():
        raise RuntimeError("another fault")
