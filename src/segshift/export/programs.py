"""A network's program in the formats of the runtimes: ONNX, torch.export, TorchScript."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from timm.layers import padding
from torch import Tensor
from torch.export import Dim, ExportedProgram

from segshift.errors import InputError
from segshift.models.program import INPUT, METADATA_KEY, OUTPUTS, Program

# The first with an anti-aliased Resize.
OPSET = 18
# Two images, so that none of the sizes is 1, which exporters take for a constant.
_EXAMPLE = (2, 3, 96, 160)
_AXES = {0: "batch", 2: "height", 3: "width"}


class NotCarriedError(InputError):
    """A format that cannot hold a network; the remedy depends on what other formats can."""


def write_onnx(program: Program, metadata: str, path: Path) -> None:
    """Write `program` as one ONNX file with free batch, height and width.

    Raises:
        InputError: the extra `export` is not installed.
        NotCarriedError: the network cannot be written as ONNX.
    """
    onnx = onnx_library()
    exported = _exported(program)
    with _quiet(), _named(program, "onnx"):
        made = torch.onnx.export(
            exported,
            (),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert made is not None  # it was given no file
    model = made.model_proto
    _name_axes(model)
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata})
    onnx.save(model, path)


def write_torch_export(program: Program, metadata: str, path: Path) -> None:
    """Write `program` for `torch.export.load`. Raises NotCarriedError for one that cannot be exported."""
    exported = _exported(program)
    with _quiet(), _named(program, "torch-export"), path.open("wb") as stream:
        torch.export.save(exported, stream, extra_files={METADATA_KEY: metadata})


def write_torchscript(program: Program, metadata: str, path: Path) -> None:
    """Write `program` for `torch.jit.load`. Raises NotCarriedError for a network that cannot be traced."""
    trace: Any = torch.jit.trace  # has no types
    with _quiet(), torch.no_grad(), _named(program, "torchscript"):
        traced = trace(program, (_example(),), check_trace=False)
        torch.jit.save(traced, path, _extra_files={METADATA_KEY: metadata})


def onnx_library() -> Any:
    """The package onnx, with what writing such files needs besides. Raises InputError without the extra."""
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"--format onnx: needs {error.name}, which is not installed; run `pip install segshift[export]`"
        ) from None
    return onnx


def _exported(program: Program) -> ExportedProgram:
    with _quiet(), torch.no_grad(), _named(program, "torch-export"), _whole_number_padding():
        free = {axis: Dim.DYNAMIC for axis in _AXES}
        return torch.export.export(program, (_example(),), dynamic_shapes=(free,), strict=False)


@contextmanager
def _whole_number_padding() -> Iterator[None]:
    """Have timm compute its SAME padding in whole numbers while a program is recorded.

    Its `ceil(size / stride)` is recorded as a division of real numbers, which torch.export cannot save.
    """
    theirs = padding.get_same_padding
    padding.get_same_padding = _same_padding
    try:
        yield
    finally:
        padding.get_same_padding = theirs


def _same_padding(x: int, kernel_size: int, stride: int, dilation: int) -> Any:
    """As timm's function: the pixels that a side of `x` lacks for a convolution with SAME padding."""
    windows, reach = (x + stride - 1) // stride, (kernel_size - 1) * dilation + 1
    if reach == 1:
        return 0
    lacking = (windows - 1) * stride + reach - x
    # Windows that leave no gap never lack less than nothing. With a maximum in it, each layer's formula would
    # hold the last one's several times over, and a network with many of them would take minutes to record.
    return lacking if reach >= stride else torch.sym_max(lacking, 0)


def _example() -> Tensor:
    return torch.randint(0, 256, _EXAMPLE, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def _name_axes(model: Any) -> None:
    """Say batch, height and width where the exporter numbers its symbols; the logits keep their formulas."""
    shape = model.graph.input[0].type.tensor_type.shape.dim
    names = {shape[axis].dim_param: name for axis, name in _AXES.items()}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_param = names[dim.dim_param]


@contextmanager
def _named(program: Program, kind: str) -> Iterator[None]:
    """Turn what an exporter raises into one line that names the network."""
    try:
        yield
    except InputError:
        raise
    # Exporters raise whatever they stumble over in the network's code.
    except Exception as error:
        text = str(error).strip()
        reason = text.splitlines()[0] if text else type(error).__name__
        title = program.segmenter.config.title()
        raise NotCarriedError(f"{title} cannot be written as {kind} ({reason[:200]})") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters talk of their own inner workings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
