"""Programs that `segshift export` wrote, used like any other network: load, predict, evaluate, ensembles."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from segshift.config import parse
from segshift.documents import parse_json
from segshift.errors import InputError, is_out_of_memory
from segshift.models.program import INPUT, METADATA_KEY, OUTPUTS, ProgramMetadata
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_output import SegmenterOutput

Run = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""(N, 3, H, W) uint8 images to labels, confidence and logits, as `Program.forward`."""


class ExportedSegmenter(Segmenter):
    """A program in the place of a network: it predicts and is evaluated, and cannot be trained.

    Attributes:
        file: the program's.
        metadata: what stands in it.
        program: the program itself, for (N, 3, H, W) uint8 images.
    """

    def __init__(self, file: Path, metadata: ProgramMetadata, program: Run) -> None:
        nn.Module.__init__(self)
        self.file, self.metadata, self.program = file, metadata, program
        self.classes = metadata.classes()
        # What the program resizes to, the network around it is asked to see.
        self.config = metadata.config.model_copy(
            update={"input_size": metadata.program_size, "input_fit": "stretch"}
        )
        self.pixel_statistics = metadata.pixel_statistics()
        self.second_head = self.auxiliary_head = None
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1), persistent=False)

    @property
    def pyramid_channels(self) -> NoReturn:
        """Raises InputError: a program gives none."""
        raise InputError(
            f"{self.file}: is an exported program, which gives no features; take the run folder that it was "
            "made of, or its model.safetensors"
        )

    def normalize(self, images: Tensor) -> Tensor:
        """`images`: the program normalises by itself."""
        return images

    def forward(self, images: Tensor) -> SegmenterOutput:
        """(N, 3, H, W) RGB images in [0, 1], which the program sees in steps of 1/255, to logits.

        Raises:
            InputError: images of another size than the program resizes to, as windows and scales make them.
        """
        size = self.metadata.program_size
        if size is not None and images.shape[-2:] != (size[1], size[0]):
            raise InputError(
                f"{self.file}: sees every image at {size[0]}x{size[1]} px, so that other sizes, windows and "
                "scales are not possible; export with --size native"
            )
        _, _, logits = self.program((images * 255).round().clamp(0, 255).byte())
        logits = logits.to(images.device)
        nothing = logits[:, :0]
        return SegmenterOutput(nothing, logits, logits, None, (logits,), (logits, nothing))

    def save(self, path: str | Path) -> None:
        """Raises InputError: there are no weights to write."""
        self.refuse()

    def state_dict(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises InputError: there are no weights to read."""
        self.refuse()

    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        self.refuse()

    def refuse(self) -> NoReturn:
        """Raise InputError: whoever asked needs a network to train."""
        raise InputError(
            f"{self.file}: is an exported program, which predicts and cannot be trained, copied or exported; "
            "take the run folder that it was made of, or its model.safetensors"
        )


def load_program(file: Path, device: str | torch.device = "cpu") -> ExportedSegmenter:
    """The program in a file of `segshift export`.

    ONNX files are data. The others are programs for PyTorch's own loaders: open those that you trust.

    Args:
        file: `.onnx` (onnxruntime; on a GPU where onnxruntime-gpu is installed), `.pt2` (torch.export) or
            `.torchscript`, also called `.ts`.
        device: device of a PyTorch program.

    Raises:
        InputError: a missing, broken or foreign file, or onnxruntime is not installed.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file; give a file written by `segshift export`")
    program, text = _OPENERS[file.suffix](file, torch.device(device))
    if not text:
        raise InputError(f"{file}: has no description by segshift; give a file of `segshift export`")
    data = parse_json(text, f"{file}: the description")
    said = parse(ProgramMetadata, data, where=str(file))
    segmenter = ExportedSegmenter(file, said, _explained(file, program))
    return segmenter.to(device).eval()


def _open_onnx(file: Path, device: torch.device) -> tuple[Run, str]:
    try:
        import onnxruntime as runtime
    except ImportError:
        raise InputError(
            f"{file}: needs onnxruntime, which is not installed; run `pip install segshift[export]`"
        ) from None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Its warnings are about what it will do about a graph, which nobody can change.
    options.log_severity_level = 3
    wanted = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in runtime.get_available_providers():
        wanted.insert(0, "CUDAExecutionProvider")
    session = _opened(file, lambda: runtime.InferenceSession(str(file), options, providers=wanted))

    def run(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        labels, confidence, logits = session.run(OUTPUTS, {INPUT: images.cpu().numpy()})
        return torch.from_numpy(labels), torch.from_numpy(confidence), torch.from_numpy(logits)

    return run, session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "")


def _open_export(file: Path, device: torch.device) -> tuple[Run, str]:
    extra: dict[str, Any] = {METADATA_KEY: ""}
    program = _opened(file, lambda: torch.export.load(file, extra_files=extra))
    return _on(device, program.module()), extra[METADATA_KEY]


def _open_torchscript(file: Path, device: torch.device) -> tuple[Run, str]:
    extra: dict[str, Any] = {METADATA_KEY: ""}
    load: Any = torch.jit.load  # has no types
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch prefers torch.export
        program = _opened(file, lambda: load(file, map_location="cpu", _extra_files=extra))
    text = extra[METADATA_KEY]
    return _on(device, program), text.decode() if isinstance(text, bytes) else text


def _on(device: torch.device, module: nn.Module) -> Run:
    module.to(device)

    def run(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        labels, confidence, logits = module(images.to(device))
        return labels, confidence, logits

    return run


def _explained(file: Path, program: Run) -> Run:
    """`program`, whose runtime's errors are one line."""

    def run(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        try:
            return program(images)
        # Each runtime has errors of its own; most are about a size that the program cannot hold.
        except Exception as error:
            if is_out_of_memory(error):
                raise
            text = str(error).strip()
            reason = text.splitlines()[0][:200] if text else type(error).__name__
            raise InputError(
                f"{file.name}: cannot be run on images of {images.shape[-1]}x{images.shape[-2]} px ({reason})"
            ) from None

    return run


def _opened(file: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    # Each runtime has errors of its own, and the unpickler stumbles over any byte.
    except Exception:
        raise InputError(f"{file}: cannot be opened as a program; export it again") from None


_OPENERS: Mapping[str, Callable[[Path, torch.device], tuple[Run, str]]] = {
    ".onnx": _open_onnx,
    ".pt2": _open_export,
    ".torchscript": _open_torchscript,
    ".ts": _open_torchscript,
}
PROGRAM_SUFFIXES = tuple(_OPENERS)
