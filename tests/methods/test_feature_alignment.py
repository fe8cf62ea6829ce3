"""Feature alignment: the game on features reaches the backbone and leaves the heads alone."""

import torch

from segshift.engine.step import train_step
from tests.methods.networks import align, batch, parameters_of


def moved_by_the_game(term: str) -> dict[str, float]:
    """How far one plain gradient step with the game differs from one without it, by parameter."""
    with_game = align({"term": term, "weight": 10.0})
    without = align()
    for method in (with_game, without):
        networks = method.networks()
        movers = {name: torch.optim.SGD(group, lr=0.1) for name, group in networks.items()}
        train_step(method, [batch()], movers)
    mine, theirs = parameters_of(with_game.segmenter), parameters_of(without.segmenter)
    return {name: (mine[name] - theirs[name]).abs().max().item() for name in mine}


def test_the_game_on_features_leaves_the_head_alone() -> None:
    moved = moved_by_the_game("feature_alignment")
    assert max(moved[name] for name in moved if name.startswith("head.")) == 0
    assert max(moved[name] for name in moved if name.startswith("backbone.")) > 1e-5


def test_the_game_on_outputs_reaches_it() -> None:
    moved = moved_by_the_game("output_alignment")
    assert max(moved[name] for name in moved if name.startswith("head.")) > 1e-6


def test_the_discriminator_takes_the_backbones_features() -> None:
    method = align({"term": "feature_alignment", "base_channels": 4})
    judge = method.terms[0].adversary
    assert judge.layers[0].in_channels == method.segmenter.feature_channels
    assert [layer.out_channels for layer in judge.layers[::2]] == [16, 8, 1]
