"""On what a run was made, for the record beside its results."""

import platform
from importlib.metadata import version
from typing import Any

import torch

_PACKAGES = ("segshift", "torch", "torchvision", "timm", "accelerate", "numpy", "pillow")


def describe_environment(device: torch.device, processes: int = 1) -> dict[str, Any]:
    """Versions, device, processes and threads; nothing that identifies the user or the machine."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "packages": {name: version(name) for name in _PACKAGES},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": processes,
        "threads": torch.get_num_threads(),
    }
