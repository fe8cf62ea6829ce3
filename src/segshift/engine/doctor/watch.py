"""Watching a step: which networks moved at which update, and what reached every parameter."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from segshift.methods import Batch, Method, Update


class Watched(Method):
    """A method that notes what the engine does between its yields.

    Attributes:
        strangers: sentences about networks that moved or got gradients outside their updates.
        reached: names of parameters that some update gave a gradient other than zero.
    """

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method
        self.strangers: list[str] = []
        self.reached: set[str] = set()
        self._turn: tuple[str, ...] = ()
        self._owner = {id(p): name for name, group in method.networks().items() for p in group}
        self._names = {id(p): name for name, p in method.named_parameters()}
        for parameter in method.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(self._note)  # type: ignore[no-untyped-call]

    def networks(self) -> dict[str, list[nn.Parameter]]:
        """The method's own."""
        return self.method.networks()

    def step(self, batch: Batch) -> Iterator[Update]:
        """The method's updates; around each, compare what moved with what was announced.

        Between two updates nothing may move: only optimizers change what is in a network.
        """
        before = self._state()
        for update in self.method.step(batch):
            title = "+".join(update.names)
            self._tell(self._moved(before), f"moved by hand before the update of {title}")
            before = self._state()
            self._turn = update.names
            yield update
            announced = set(update.names) if update.step else set()
            self._tell(self._moved(before) - announced, f"moved at the update of {title}")
            before = self._state()
        self._tell(self._moved(before), "moved by hand after the last update")

    def _moved(self, before: dict[str, Tensor]) -> set[str]:
        return {name for name, value in self._state().items() if not torch.equal(value, before[name])}

    def _state(self) -> dict[str, Tensor]:
        return {
            name: torch.cat([p.detach().flatten() for p in group])
            for name, group in self.method.networks().items()
        }

    def _note(self, parameter: Tensor) -> None:
        name = self._names[id(parameter)]
        owner = self._owner.get(id(parameter))
        if owner not in self._turn:
            self._tell({owner or name}, f"got gradients at the update of {'+'.join(self._turn)}")
        if parameter.grad is not None and bool(parameter.grad.abs().sum() > 0):
            self.reached.add(name)

    def _tell(self, networks: set[str], what: str) -> None:
        for network in sorted(networks):
            sentence = f"{network} {what}"
            if sentence not in self.strangers:
                self.strangers.append(sentence)
