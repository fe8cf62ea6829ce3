"""Checkpoints: everything a run needs to go on as if nothing had happened, in one atomic, checked file."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import nn
from torch.optim import Optimizer

from segshift.errors import InputError
from segshift.files import atomic_path, refuse_special, room
from segshift.folders import RunFolder

_FORMAT = 2
_FORMATS = (1, _FORMAT)  # the first had no checksum
_SIGNATURE_BYTES = len("sha256:") + 64
_BLOCK_BYTES = 1 << 20


class DamagedError(InputError):
    """A checkpoint that is shown to be damaged."""


@dataclass(frozen=True)
class Checkpoints:
    """The states in a run's folder.

    Attributes:
        run: the folder.
        keep: how many of the newest states stay.
    """

    run: RunFolder
    keep: int = 2

    def save(
        self, step: int, method: nn.Module, optimizers: Mapping[str, Optimizer], fingerprint: str
    ) -> Path:
        """Write the state after `step` steps, then drop the oldest. A kill at any instant loses nothing."""
        path = self.run.checkpoint(step)
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
                _sign(temporary)
        except RuntimeError as error:  # how torch's writer says that the disk is full
            raise InputError(
                f"{path}: cannot be written ({str(error).splitlines()[0][:80]}); {room()}, then go on "
                "with --resume from the checkpoint before"
            ) from None
        for old in self.run.checkpoint_steps()[: -self.keep]:
            self.run.checkpoint(old).unlink(missing_ok=True)
        return path

    def newest_whole(self) -> tuple[int | None, list[str]]:
        """The step of the newest checkpoint that is whole, None without any; damaged ones are set aside.

        Returns:
            The step, and a line on each file that got the ending `.damaged`.

        Raises:
            DamagedError: there are checkpoints, and none is whole.
            InputError: one cannot be opened.
        """
        self._sweep()
        lines: list[str] = []
        for step in reversed(self.run.checkpoint_steps()):
            path = self.run.checkpoint(step)
            try:
                _check_whole(path)
            except DamagedError as error:
                path.replace(path.with_name(f"{path.name}.damaged"))
                lines.append(str(error))
            else:
                return step, lines
        if lines:
            raise DamagedError(f"{lines[0]}; there is no older one, so start anew in another --out")
        return None, []

    def load(
        self, step: int, method: nn.Module, optimizers: Mapping[str, Optimizer], fingerprint: str
    ) -> None:
        """Put the checkpoint after `step` steps into `method` and `optimizers`.

        Raises:
            InputError: the file is no checkpoint, or one of a run with other settings.
        """
        path = self.run.checkpoint(step)
        state = _read(path)
        if state.get("format") not in _FORMATS or state.get("fingerprint") != fingerprint:
            raise InputError(
                f"{path}: was written with other settings; use the same recipe, or a new --out folder"
            )
        try:
            method.load_state_dict(state["method"])
            for name, optimizer in optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
            torch.set_rng_state(state["torch_rng"])
        except Exception as error:  # whatever a load_state_dict makes of strange content
            reason = " ".join(str(error).split())[:120]
            raise InputError(
                f"{path}: does not fit the recipe's networks ({type(error).__name__}: {reason}); another "
                "version wrote it, or it was changed by hand: start anew in another --out"
            ) from None

    def load_latest(self, method: nn.Module, optimizers: Mapping[str, Optimizer], fingerprint: str) -> int:
        """`load` the newest whole checkpoint; its number of steps, 0 if there is none."""
        step, _ = self.newest_whole()
        if step is None:
            return 0
        self.load(step, method, optimizers, fingerprint)
        return step

    def clear(self) -> None:
        """Remove all checkpoints."""
        self._sweep()
        for step in self.run.checkpoint_steps():
            self.run.checkpoint(step).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what a killed save left behind."""
        for path in self.run.unfinished_checkpoints():
            path.unlink(missing_ok=True)


def _sign(path: Path) -> None:
    """Append a checksum of the file as its comment: a checkpoint is a zip archive, whose last two bytes say
    how long the comment behind them is.
    """
    with path.open("r+b") as stream:
        stream.seek(-2, os.SEEK_END)
        stream.write(_SIGNATURE_BYTES.to_bytes(2, "little"))
        length = stream.tell()
        stream.seek(0)
        signature = _signature(stream, length)
        stream.seek(length)
        stream.write(signature)


def _signature(stream: BinaryIO, length: int) -> bytes:
    """The checksum of the next `length` bytes."""
    digest = hashlib.sha256()
    while length > 0 and (block := stream.read(min(length, _BLOCK_BYTES))):
        digest.update(block)
        length -= len(block)
    return b"sha256:" + digest.hexdigest().encode()


def _check_whole(path: Path) -> None:
    """Raises DamagedError for a file that is not what was written, InputError for one that is locked away."""
    try:
        refuse_special(path)
        with path.open("rb") as stream:
            body = path.stat().st_size - _SIGNATURE_BYTES
            whole = body > 0 and _signature(stream, body) == stream.read()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    # One of an earlier version has no checksum; it is taken if it loads.
    if not whole and _read(path).get("format") == _FORMAT:
        raise DamagedError(f"{path}: cannot be read: its checksum is wrong, so the file is damaged")


def _read(path: Path) -> dict[str, Any]:
    """What a checkpoint file holds, on the CPU. Raises DamagedError for what is no file of torch."""
    try:
        # To the CPU: optimizers and networks take it to their own device.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch raises a dozen types for a damaged file
        raise DamagedError(
            f"{path}: cannot be read ({type(error).__name__}), so the file is damaged"
        ) from None
    return state if isinstance(state, dict) else {}
