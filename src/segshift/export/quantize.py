"""An ONNX program with 8-bit weights and activations, calibrated on unlabelled images."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from segshift.export.programs import onnx_library
from segshift.models.program import INPUT

# Where the work is, and the activations behind it: without these, a convolution's range would be taken before
# they cut it. All else (resizing, softmax, norms) stays in float32.
_QUANTIZED = ["Conv", "MatMul", "Gemm", "Clip", "Relu"]


class _Images:
    """The calibration images, one after the other, as onnxruntime asks for them."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        self._left: Iterator[Tensor] = iter(images)

    def get_next(self) -> dict[str, Any] | None:
        image = next(self._left, None)
        return None if image is None else {INPUT: image[None].numpy()}


def write_int8(source: Path, images: Sequence[Tensor], path: Path) -> None:
    """Quantise an ONNX file with onnxruntime's static quantiser.

    Convolutions and matrix products get 8-bit weights, with a scale for each output channel, and 8-bit
    activations whose ranges are the least and largest values on the images.

    Args:
        source: made by `write_onnx`.
        images: (3, H, W) uint8, of the place where the network shall work; labels are not needed.
        path: of the result.
    """
    onnx = onnx_library()
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".int8.") as folder:
            # Batch norms are folded into their convolutions first. Sizes stay symbols.
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(path),
                _Images(images),
                op_types_to_quantize=_QUANTIZED,
                per_channel=True,
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
            )
    finally:
        root.setLevel(level)
    model = onnx.load(path)
    model.metadata_props.extend(
        prop
        for prop in onnx.load(source, load_external_data=False).metadata_props
        if prop.key not in {own.key for own in model.metadata_props}
    )
    onnx.save(model, path)
