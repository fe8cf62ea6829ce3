"""Checkpoints: everything a run needs to go on as if nothing had happened, in one atomic file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from segshift.errors import InputError
from segshift.files import atomic_path

_FORMAT = 1
_NAME = re.compile(r"step_(\d{8})\.pt")


@dataclass(frozen=True)
class Checkpoints:
    """The `checkpoints` folder of a run.

    Attributes:
        folder: where the files `step_00000100.pt` lie; the number is that of steps done.
        keep: how many of the newest stay.
    """

    folder: Path
    keep: int = 2

    def steps(self) -> list[int]:
        """Numbers of steps done, of the complete checkpoints, ascending."""
        if not self.folder.is_dir():
            return []
        matches = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match.group(1)) for match in matches if match)

    def save(
        self, step: int, method: nn.Module, optimizers: Mapping[str, Optimizer], fingerprint: str
    ) -> Path:
        """Write the state after `step` steps, then drop the oldest. A kill at any instant loses nothing."""
        path = self._path(step)
        state = {
            "format": _FORMAT,
            "step": step,
            "fingerprint": fingerprint,
            "method": method.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
            "torch_rng": torch.get_rng_state(),
        }
        try:
            with atomic_path(path) as temporary:
                torch.save(state, temporary)
        except RuntimeError as error:  # how torch's writer says that the disk is full
            raise InputError(
                f"{path}: cannot be written ({str(error).splitlines()[0][:80]}); free some space, then go on "
                "with --resume from the checkpoint before"
            ) from None
        for old in self.steps()[: -self.keep]:
            self._path(old).unlink(missing_ok=True)
        return path

    def load_latest(
        self, method: nn.Module, optimizers: Mapping[str, Optimizer], fingerprint: str, device: torch.device
    ) -> int:
        """Put the newest checkpoint into `method` and `optimizers`; return its number of steps, 0 if none.

        Raises:
            InputError: the file cannot be read, or belongs to a run with other settings.
        """
        self._sweep()
        steps = self.steps()
        if not steps:
            return 0
        path = self._path(steps[-1])
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except Exception as error:  # torch raises a dozen types for a damaged file
            raise InputError(
                f"{path}: cannot be read ({type(error).__name__}); delete it to go on from the one before"
            ) from None
        if state.get("format") != _FORMAT or state["fingerprint"] != fingerprint:
            raise InputError(
                f"{path}: was written with other settings; use the same recipe, or a new --out folder"
            )
        method.load_state_dict(state["method"])
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        torch.set_rng_state(state["torch_rng"].cpu())
        return int(state["step"])

    def clear(self) -> None:
        """Remove all checkpoints."""
        self._sweep()
        for step in self.steps():
            self._path(step).unlink(missing_ok=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"step_{step:08d}.pt"

    def _sweep(self) -> None:
        """Remove what a killed save left behind."""
        if self.folder.is_dir():
            for path in self.folder.glob(".step_*.partial.pt"):
                path.unlink(missing_ok=True)
