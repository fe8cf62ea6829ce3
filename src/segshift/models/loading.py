"""Opening a model file, whoever wrote it: a network with weights, or an exported program."""

from pathlib import Path

import torch

from segshift.folders import model_file
from segshift.models.devices import usable_device
from segshift.models.exported import PROGRAM_SUFFIXES, load_program
from segshift.models.segmenter import Segmenter


def load(path: str | Path, device: str | torch.device = "cpu", trust_code: bool = False) -> Segmenter:
    """The segmenter in a model file, a run folder or an exported program, in evaluation mode.

    Args:
        path: as `Segmenter.load` takes it, or a file of `segshift export`: `.onnx`, `.pt2`, `.torchscript` or
            `.ts`.
        device: where to put it: `cpu`, `cuda`, `cuda:1` ...
        trust_code: see `Segmenter.load`; a program needs none of the code that it was made of.

    Raises:
        InputError: no such device, or a missing, broken or foreign file; see `Segmenter.load`.

    Example:
        >>> load("gone.onnx")
        Traceback (most recent call last):
        segshift.errors.InputError: gone.onnx: no such file; give a file written by `segshift export`
    """
    device = usable_device(device)
    file = model_file(path)
    if file.suffix in PROGRAM_SUFFIXES:
        return load_program(file, device)
    return Segmenter.load(path, device, trust_code)
