"""Where networks run, as the options say."""

import torch

from segshift.engine.processes import choose_device
from segshift.errors import InputError


def usable_device(device: str | None) -> str:
    """The device that was asked for, or a GPU if there is one. Raises InputError for one that is missing."""

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"--device {place}: {str(error).splitlines()[0]}; use cpu or a GPU you have"
        ) from None
    return place


def train_on(device: str | None) -> None:
    """Let this process's runs train on `device`; None leaves the choice to Accelerate. Raises InputError."""
    if device is not None:
        choose_device(usable_device(device))
