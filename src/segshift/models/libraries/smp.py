"""Networks of segmentation-models-pytorch."""

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from segshift.config import did_you_mean
from segshift.errors import InputError
from segshift.files import expanded
from segshift.models.libraries.parts import Parts, built, library, pixel_statistics
from segshift.models.mit import MIT_STRIDES
from segshift.models.resize import enlarge_small
from segshift.models.timm_features import SizedNetwork
from segshift.models.weights import load_backbone_state, read_state, without_prefix

ARCHITECTURES = (
    "Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN", "DeepLabV3", "DeepLabV3Plus",
    "UPerNet", "Segformer",
)  # fmt: skip


# Arguments that the configuration says elsewhere, or that change what comes out.
_OURS = {"encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params", "kwargs"}


class _SmpHead(nn.Module):
    """Decoder and classifier of a network of segmentation-models-pytorch."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.decoder, self.segmentation_head = network.decoder, network.segmentation_head

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Its encoder's features to (N, C, h, w) logits."""
        logits: Tensor = self.segmentation_head(self.decoder(list(pyramid)))
        return logits


def smp_network(
    architecture: str, encoder: str, weights: str, classes: int, count: int, settings: dict[str, Any]
) -> Parts:
    """A network of segmentation-models-pytorch.

    Long, since one library's ways are all answered here.

    Args:
        architecture: one of `ARCHITECTURES`.
        encoder: its name there: resnet34, mit_b0, tu-convnext_tiny ...
        weights: imagenet (of the encoder, from the model hub), none, or the path of a checkpoint of the whole
            network: a state dict, or a folder made by its `save_pretrained`.
        classes: C.
        count: how many classifiers.
        settings: further arguments of the architecture, such as decoder_channels.

    Raises:
        InputError: the library is not installed, unknown names or settings, weights that do not fit.
    """
    smp = library("segmentation_models_pytorch", "smp")
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"model.architecture = {architecture}: none of segmentation-models-pytorch's"
            f"{did_you_mean(architecture, list(ARCHITECTURES))}; use one of {', '.join(ARCHITECTURES)}"
        )
    # The library takes arguments that it does not know without a word.
    known = [name for name in inspect.signature(getattr(smp, architecture)).parameters if name not in _OURS]
    for name in settings:
        if name not in known:
            raise InputError(
                f"model.settings.{name}: smp's {architecture} has no such setting"
                f"{did_you_mean(name, known)}; it has {', '.join(known)}"
            )
    pretrained = "imagenet" if weights == "imagenet" else None
    networks = [
        built(
            lambda: getattr(smp, architecture)(
                encoder, encoder_weights=pretrained, classes=classes, in_channels=3, **settings
            ),
            f"model: smp {architecture} on {encoder}",
        )
        for _ in range(count)
    ]
    network = networks[0]
    if weights not in ("imagenet", "none"):
        path = expanded(weights)
        file = next(iter(sorted(path.glob("*.safetensors"))), path) if path.is_dir() else path
        state = without_prefix(read_state(file))
        # A classifier for other classes is left out, as in any fine-tuning.
        own = network.state_dict()
        new = {k for k in own if k.startswith("segmentation_head") and _differs(state.get(k), own[k])}
        load_backbone_state(
            network, new, {k: v for k, v in state.items() if k not in new}, str(file), new=new
        )
    # The library asks the hub for what its published weights take; without them, it is ImageNet's.
    published = smp.encoders.get_preprocessing_params(encoder, "imagenet") if pretrained else {}
    statistics = pixel_statistics(
        published.get("mean"),
        published.get("std"),
        float((published.get("input_range") or (0, 1))[1]),
        "bgr" if published.get("input_space") == "BGR" else "rgb",
    )
    backbone: nn.Module = network.encoder
    if network.requires_divisible_input_shape:
        backbone = SizedNetwork(backbone, multiple=int(network.encoder.output_stride))
    if encoder.startswith("mit_"):
        enlarge_small(backbone, MIT_STRIDES[-1])
    channels = tuple(int(c) for c in network.encoder.out_channels)
    return Parts(backbone, tuple(_SmpHead(n) for n in networks), channels, statistics, settings)


def _differs(found: Tensor | None, own: Tensor) -> bool:
    return found is None or found.shape != own.shape
