"""What a method's networks are for: said by the method, written into its log, read by whoever judges that."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from torch import nn

Role = Literal["learner", "generator", "adversary"]
"""learner: has a task of its own to get better at, whatever else it does. generator: makes images that an
adversary judges. adversary: tells domains apart, or real from made, and the others make it err."""

# The losses of adversaries in logs that name no roles.
_GAMES = ({"source", "target"}, {"labels", "predictions"})
_ROLES: tuple[str, ...] = get_args(Role)


class Network(list[nn.Parameter]):
    """Parameters that one optimizer moves, and what they are for: a value of `Method.networks()`.

    A plain list is a learner.

    Attributes:
        role: learner, generator or adversary. Advice about discriminators concerns adversaries alone.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], role: Role = "learner") -> None:
        super().__init__(parameters)
        self.role = role


def roles_of(networks: Mapping[str, list[nn.Parameter]]) -> dict[str, Role]:
    """The role of every network, by its name."""
    return {name: group.role if isinstance(group, Network) else "learner" for name, group in networks.items()}


def logged_roles(records: Iterable[Mapping[str, Any]]) -> dict[str, Role]:
    """The roles of the networks in a log, by name.

    Args:
        records: lines of metrics.jsonl. Logs of earlier versions name no roles; there the generators go by
            their names, and networks whose losses are those of a game about domains are adversaries.
    """
    told: dict[str, Role] = {}
    losses: dict[str, set[str]] = {}
    for record in records:
        roles = record.get("roles")
        told |= roles if isinstance(roles, dict) else {}
        for key in record.get("losses") or {}:
            networks, _, loss = key.partition("/")
            losses.setdefault(networks, set()).add(loss)
    return {name: _guessed(name, own) for name, own in losses.items()} | {
        name: role for name, role in told.items() if role in _ROLES
    }


def role_of_loss(key: str, roles: Mapping[str, Role]) -> Role:
    """The role of the networks that a logged loss, "network/loss" or "one+other/loss", trains."""
    networks = key.partition("/")[0]
    each = {roles.get(networks, roles.get(name, "learner")) for name in networks.split("+")}
    return each.pop() if len(each) == 1 else "learner"


def _guessed(network: str, losses: set[str]) -> Role:
    if network in {"generator", "generators"}:
        return "generator"
    about_domains = any(game <= losses for game in _GAMES) or any(
        loss.endswith(("_real", "_fake")) for loss in losses
    )
    return "adversary" if about_domains and network != "segmenter" else "learner"
