"""Networks of transformers."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from segshift.documents import read_json
from segshift.errors import InputError
from segshift.files import expanded
from segshift.models.backbones import PixelStatistics
from segshift.models.libraries.class_rows import fitted, labels_of
from segshift.models.libraries.parts import Parts, built, library, pixel_statistics
from segshift.models.mit import MIT_STRIDES
from segshift.models.resize import enlarge_small

ARCHITECTURES = ("Segformer", "UperNet")


class _SegformerBackbone(nn.Module):
    """The hierarchical encoder (MiT) of transformers' SegFormer."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.segformer = network.segformer
        enlarge_small(self, MIT_STRIDES[-1])

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to the four stages' features at strides 4, 8, 16 and 32."""
        return list(self.segformer(images, output_hidden_states=True).hidden_states)


class _UperNetBackbone(nn.Module):
    """The backbone of transformers' UperNet."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.backbone = network.backbone

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to the stages' features."""
        return list(self.backbone.forward_with_filtered_kwargs(images).feature_maps)


class _DecodeHead(nn.Module):
    """The decoder of a network of transformers."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.decode_head = network.decode_head

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """The stages' features to (N, C, h, w) logits."""
        logits: Tensor = self.decode_head(list(pyramid))
        return logits


def transformers_network(
    architecture: str, weights: str, names: Sequence[str], count: int, settings: dict[str, Any]
) -> Parts:
    """A network of transformers.

    Args:
        architecture: one of `ARCHITECTURES`.
        weights: none, the name of a model on the hub (nvidia/mit-b0 ...) or a folder made by
            `save_pretrained`. Its classifier keeps the rows of the classes that it names as here; those of
            others start anew. Without names (LABEL_0 ...) it is kept if the number of classes is the same.
        names: of the C classes.
        count: how many classifiers.
        settings: keys of the network's configuration, such as depths and hidden_sizes.

    Raises:
        InputError: the library is not installed, unknown names or settings, weights that cannot be had.
    """
    transformers = library("transformers", "transformers")
    if architecture not in ARCHITECTURES:
        hint = " (it gives masks with classes, not dense logits)" if "ask" in architecture else ""
        raise InputError(
            f"model.architecture = {architecture}: segshift takes {' and '.join(ARCHITECTURES)} "
            f"from transformers{hint}"
        )
    network_class = getattr(transformers, f"{architecture}ForSemanticSegmentation")
    config_class = getattr(transformers, f"{architecture}Config")
    where = f"model: transformers {architecture}"
    if weights in ("none", "imagenet"):
        if weights == "imagenet":
            raise InputError(f"{where}: weights = imagenet: name them, such as nvidia/mit-b0, or set none")
        config = built(lambda: config_class(**settings, num_labels=len(names)), where)
        networks = [built(lambda: network_class(config), where) for _ in range(count)]
    else:
        source = str(expanded(weights)) if expanded(weights).exists() else weights
        networks = [
            built(
                lambda: network_class.from_pretrained(source, **settings),
                f"{where}: weights = {weights}",
            )
        ]
        config, decoder = networks[0].config, networks[0].decode_head
        decoder.classifier = fitted(
            decoder.classifier, labels_of(config.id2label), names, config.initializer_range
        )
        config.num_labels = len(names)
        # A second classifier of the same shape, with weights of its own.
        networks += [built(lambda: network_class(config), where) for _ in range(count - 1)]
    network = networks[0]
    backbone = _SegformerBackbone(network) if architecture == "Segformer" else _UperNetBackbone(network)
    channels = config.hidden_sizes if architecture == "Segformer" else network.backbone.channels
    kept = {key: value for key, value in config.to_diff_dict().items() if _is_setting(key)}
    return Parts(
        backbone,
        tuple(_DecodeHead(n) for n in networks),
        tuple(channels),
        _processor_statistics(weights),
        kept,
    )


def _is_setting(key: str) -> bool:
    """Whether a key of a saved configuration is needed to build the network again."""
    return key not in {
        "architectures", "dtype", "id2label", "label2id", "model_type", "num_labels", "torch_dtype",
        "transformers_version", "_name_or_path",
    }  # fmt: skip


def _processor_statistics(weights: str) -> PixelStatistics:
    """Mean and deviation in the folder's preprocessor_config.json; ImageNet's where there is none."""
    file = expanded(weights) / "preprocessor_config.json"
    if weights == "none" or not file.is_file():
        return PixelStatistics()
    data = read_json(file)
    return pixel_statistics(
        data.get("image_mean"), data.get("image_std"), 1.0 if data.get("do_rescale", True) else 255.0
    )
