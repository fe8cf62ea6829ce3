"""Where networks run, as the options say."""

from segshift.engine.processes import choose_device, usable_device

__all__ = ["train_on", "usable_device"]


def train_on(device: str | None) -> None:
    """Let this process's runs train on `device`; None leaves the choice to Accelerate. Raises InputError."""
    if device is not None:
        choose_device(usable_device(device))
