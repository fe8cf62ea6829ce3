"""What is asked of an export, and what it has written."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from segshift.errors import InputError
from segshift.evaluation import EvaluationResult
from segshift.export.compare import Agreement
from segshift.models.inference_config import InputSize
from segshift.models.program import Precision
from segshift.sizes import WidthHeight

Format = Literal["onnx", "torch-export", "safetensors", "torchscript"]


@dataclass(frozen=True)
class ExportSettings:
    """What is exported, and on which images it is judged.

    Attributes:
        formats: each is a file; int8 exists as ONNX alone.
        precisions: each of every format.
        size: (width, height) in px to which the program resizes images, or `native` for their own; None
            takes the network's `config.input_size`, which is the size that its run was evaluated at.
        images: unlabelled images to compare on and to calibrate int8 with: a folder or a dataset argument;
            None takes the run's target.
        data: labelled images to score on, a dataset argument; None takes what the run is evaluated on.
        compared: how many images are compared.
        calibration: how many int8 is calibrated on.
        scored: at most so many labelled images are scored; 0 for none.
        least_agreement: share of pixels that must get the network's class; None is the precision's own.
    """

    formats: tuple[Format, ...] = ("onnx",)
    precisions: tuple[Precision, ...] = ("fp32",)
    size: InputSize = None
    images: str | None = None
    data: str | None = None
    compared: int = 8
    calibration: int = 32
    scored: int = 50
    least_agreement: float | None = None

    def files(self) -> Iterator[tuple[Format, Precision]]:
        """What is written, in order. Raises InputError for a precision that no format has."""
        if "int8" in self.precisions and "onnx" not in self.formats:
            raise InputError("--precision int8: exists as ONNX alone; add --format onnx, or use fp16")
        for chosen in self.formats:
            for precision in self.precisions:
                if precision != "int8" or chosen == "onnx":
                    yield chosen, precision


@dataclass(frozen=True)
class ExportedFile:
    """One file that was written. `result` is its scores, None where there are no labels."""

    path: Path
    format: Format
    precision: Precision
    megabytes: float
    agreement: Agreement
    result: EvaluationResult | None = None


@dataclass(frozen=True)
class Exported:
    """What an export has written.

    Attributes:
        folder: of the files, with the model card and a summary.
        size: (width, height) in px at which the programs see images; None is the images' own size.
        result: the network's own scores on the same images; None where there are no labels.
        scored_on: those images in words; None likewise.
        notes: what the user has to know besides.
        files: what was written.
    """

    folder: Path
    size: WidthHeight | None
    result: EvaluationResult | None
    scored_on: str | None
    notes: tuple[str, ...] = ()
    files: list[ExportedFile] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: sizes in px, megabytes, milliseconds, shares and mIoU in [0, 1]."""
        return {
            "folder": str(self.folder),
            "input_size": None if self.size is None else list(self.size),
            "scored_on": self.scored_on,
            "network_miou": None if self.result is None else self.result.miou,
            "notes": list(self.notes),
            "files": [
                {
                    "file": file.path.name,
                    "format": file.format,
                    "precision": file.precision,
                    "megabytes": file.megabytes,
                    "miou": None if file.result is None else file.result.miou,
                    **vars(file.agreement),
                }
                for file in self.files
            ],
        }
