"""The device that was asked for, if there is one."""

import torch

from segshift.errors import InputError


def usable_device(device: str | torch.device | None, option: str = "device") -> str:
    """The device that was asked for, or a GPU if there is one.

    Args:
        device: `cpu`, `cuda`, `cuda:1`, `mps` ...; None leaves the choice.
        option: who asks, for the message.

    Raises:
        InputError: there is no such device.

    Example:
        >>> usable_device("cpu")
        'cpu'
    """
    place = str(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"{option} {place}: {str(error).splitlines()[0]}; use cpu or a GPU you have"
        ) from None
    return place
