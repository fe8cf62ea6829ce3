"""What networks are for, as methods say it and logs keep it."""

import pytest
import torch
from torch import nn

from segshift.methods import Network, build_method
from segshift.methods.roles import logged_roles, role_of_loss, roles_of
from tests.methods.networks import align, tiny_segmenter


def test_a_network_is_a_list_of_parameters_with_a_role() -> None:
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))]
    network = Network(iter(parameters), "adversary")
    assert all(mine is theirs for mine, theirs in zip(network, parameters, strict=True))
    assert roles_of({"judge": network, "own": parameters, "one": Network([])}) == {
        "judge": "adversary",
        "own": "learner",
        "one": "learner",
    }


def test_roles_of_our_methods() -> None:
    terms = align({"term": "advent", "base_channels": 4}, {"term": "minent"}, {"term": "fada"})
    assert roles_of(terms.networks()) == {"segmenter": "learner", "advent": "adversary", "fada": "adversary"}
    lsd = build_method(
        {"name": "lsd", "generator_channels": 4, "discriminator_channels": 8}, tiny_segmenter()
    )
    assert roles_of(lsd.networks()) == {
        "segmenter": "learner",
        "generator": "generator",
        "discriminator": "adversary",
    }
    cyclegan = build_method({"name": "cyclegan"}, None)
    assert roles_of(cyclegan.networks()) == {"generators": "generator", "discriminators": "adversary"}


@pytest.mark.parametrize(
    ("losses", "role"),
    [
        (("segmenter/supervised", "segmenter/source", "segmenter/target"), "learner"),
        (("advent/source", "advent/target"), "adversary"),
        (("screened_self_training/labels", "screened_self_training/predictions"), "adversary"),
        (("discriminators/target_real", "discriminators/target_fake"), "adversary"),
        (("generators/source_to_target",), "generator"),
        (("generator/source_real",), "generator"),
        (("body/discrepancy",), "learner"),
    ],
)
def test_logs_without_roles_go_by_their_losses(losses: tuple[str, ...], role: str) -> None:
    network = losses[0].partition("/")[0]
    assert logged_roles([{"step": 1, "losses": dict.fromkeys(losses, 0.1)}]) == {network: role}
    told = {"step": 2, "losses": dict.fromkeys(losses, 0.1), "roles": {network: "learner", "x": "nonsense"}}
    assert logged_roles([told])[network] == "learner" and "x" not in logged_roles([told])


def test_the_role_of_a_loss_that_trains_several() -> None:
    roles = logged_roles([{"step": 1, "losses": {}, "roles": {"a": "adversary", "b": "adversary"}}])
    assert role_of_loss("a+b/loss", roles) == role_of_loss("a/loss", roles) == "adversary"
    assert role_of_loss("a+c/loss", roles) == role_of_loss("c/loss", roles) == "learner"
