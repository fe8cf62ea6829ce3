"""Which networks each export format can hold: one of every family, head and library, exported and compared.

    python tools/export_matrix.py [--networks NAME,..] [--formats NAME,..] [--images FOLDER] [--size WxH]

Each cell is what `segshift export` does with that network: the file is written, opened in its own runtime and
asked about images of four sizes. Weights are random, but for the network whose ImageNet weights come in a pip
package. Prints a Markdown table, a row as soon as it is known.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from segshift.data.labels import ClassSet
from segshift.errors import InputError
from segshift.export import ExportSettings, export
from segshift.export.compare import Agreement
from segshift.export.settings import Format
from segshift.models import Segmenter, SegmenterConfig
from segshift.sizes import WidthHeight

CLASSES = ClassSet(
    "four", ("road", "car", "sky", "person"), ((128, 64, 128), (0, 0, 142), (70, 130, 180), (220, 20, 60))
)
IMAGES = "city:game,size=192x112,count=2,val=1"
FORMATS: tuple[Format, ...] = ("onnx", "torch-export", "torchscript", "safetensors")
_OWN = '''"""A network of one's own."""

from torch import nn


class Own(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.classify = nn.Conv2d(16, classes, 1)

    def forward(self, x):
        features = self.body(x)
        return self.classify(features), features
'''
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "segshift_tiny, deeplab_v2": {"backbone": "segshift_tiny"},
    "resnet50, deeplab_v2": {"backbone": "resnet50"},
    "caffe_resnet101, deeplab_v2": {"backbone": "caffe_resnet101"},
    "tf_efficientnet_lite0, segformer": {
        "backbone": "tf_efficientnet_lite0", "head": "segformer", "weights": "package"
    },
    "vgg16, fcn8s": {"backbone": "vgg16_fc", "head": "fcn8s"},
    "mobilenetv2_100, deeplab_v2": {"backbone": "mobilenetv2_100"},
    "convnext_tiny, segformer": {"backbone": "convnext_tiny", "head": "segformer"},
    "ViT DINOv2 S/14, linear": {"backbone": "vit_small_patch14_reg4_dinov2", "head": "linear"},
    "Swin-T, linear": {"backbone": "swin_tiny_patch4_window7_224", "head": "linear"},
    "MiT-B0, segformer": {"backbone": "mit_b0", "head": "segformer"},
    "MiT-B0, daformer": {"backbone": "mit_b0", "head": "daformer", "head_channels": 64},
    "HRDA around segshift_tiny": {"backbone": "segshift_tiny", "multi_resolution": {"detail": (64, 48)}},
    "HRDA around MiT-B0, daformer": {
        "backbone": "mit_b0", "head": "daformer", "head_channels": 64,
        "multi_resolution": {"detail": (128, 64)},
    },
    "smp Unet on resnet18": {"library": "smp", "architecture": "Unet", "encoder": "resnet18"},
    "transformers Segformer": {"library": "transformers", "architecture": "Segformer"},
    "transformers UperNet on ConvNeXt": {
        "library": "transformers", "architecture": "UperNet",
        "settings": {
            "backbone_config": {
                "model_type": "convnext", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32],
                "out_features": ["stage1", "stage2", "stage3", "stage4"],
            },
            "hidden_size": 16, "use_auxiliary_head": False,
        },
    },
    "own module": {"module": "own.py:Own"},
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """What became of one network in one format.

    Attributes:
        network: a key of `NETWORKS`.
        format: of the file.
        seconds: of the whole export, comparison included.
        agreement: None where it was refused.
        refusal: why it was; None where it was not.
    """

    network: str
    format: Format
    seconds: float
    agreement: Agreement | None
    refusal: str | None

    def row(self) -> str:
        """Of the Markdown table."""
        found = self.agreement
        if found is None:
            return f"| {self.network} | {self.format} | refused | | {self.seconds:.0f} | {self.refusal} |"
        difference = f"{found.difference:.1e} of {found.largest:.2g}"
        same = f"{100 * found.pixels:.3f}"
        return f"| {self.network} | {self.format} | {same} | {difference} | {self.seconds:.0f} | |"


def model_file(network: str, folder: Path) -> Path:
    """A model file of one of `NETWORKS`, in a folder."""
    config = {"weights": "none", **NETWORKS[network]}
    if "module" in config:
        (folder / "own.py").write_text(_OWN, encoding="utf-8")
        config["module"] = str(folder / config["module"])
    torch.manual_seed(0)
    segmenter = Segmenter(SegmenterConfig.model_validate(config), CLASSES)
    path = folder / "model.safetensors"
    segmenter.save(path)
    return path


def export_cell(
    network: str, chosen: Format, images: str = IMAGES, size: WidthHeight | Literal["native"] = "native"
) -> Cell:
    """Export one of `NETWORKS`, as `segshift export` does.

    Args:
        network: its name.
        chosen: the format.
        images: a folder or a dataset argument; the first two are compared, and three odd sizes of the first.
        size: at which the program sees images.
    """
    with tempfile.TemporaryDirectory(prefix="segshift-export-") as name:
        folder = Path(name)
        started = time.process_time()
        agreement, refusal = None, None
        try:
            file = model_file(network, folder)
            started = time.process_time()
            settings = ExportSettings((chosen,), size=size, images=images, compared=2, scored=0)
            agreement = export(file, folder / "export", settings).files[0].agreement
        except InputError as error:
            refusal = str(error).replace(name, "").replace("|", "/")
        return Cell(network, chosen, time.process_time() - started, agreement, refusal)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", help="parts of the names of some; default: all")
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--images", default=IMAGES)
    parser.add_argument("--size", help="WxH at which programs see images; default: native")
    options = parser.parse_args()
    os.environ["SEGSHIFT_TRUST_CODE"] = "1"  # of the module above
    parts = (options.networks or "").lower().split(",")
    networks = [name for name in NETWORKS if any(part in name.lower() for part in parts)]
    size: Any = "native" if options.size is None else tuple(map(int, options.size.split("x")))
    print(
        "| network | format | same class in % | largest difference of a logit | seconds | refused because |"
    )
    print("|---|---|---:|---:|---:|---|")
    for network in networks:
        for chosen in options.formats.split(","):
            print(export_cell(network, chosen, options.images, size).row(), flush=True)


if __name__ == "__main__":
    main()
