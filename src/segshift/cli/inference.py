"""Where networks run, as the options say."""

from segshift.engine.processes import Processes, choose_device, launched
from segshift.models import devices


def usable_device(device: str | None) -> str:
    """The device of --device, or a GPU if there is one. Raises InputError for one that is missing."""
    return devices.usable_device(device, "--device")


def train_on(device: str | None) -> None:
    """Let this process's runs train on `device`; None leaves the choice to Accelerate. Raises InputError."""
    if device is not None:
        choose_device(usable_device(device))


def joined_processes(device: str | None) -> Processes:
    """Those that a launcher started, or this one alone, on the device of --device. Raises InputError."""
    if launched() == 1:
        return Processes.alone(usable_device(device))
    train_on(device)
    return Processes.join()
