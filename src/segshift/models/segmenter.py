"""The segmentation network: backbone, heads, and what belongs to a model file besides its weights."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segshift.config import parse
from segshift.data.labels import ClassSet, class_set
from segshift.errors import InputError
from segshift.folders import model_file
from segshift.models.backbone_training import merged_state, set_backbone_training
from segshift.models.backbones import CAFFE_PIXELS, PixelStatistics, build_backbone
from segshift.models.batch_norm import evaluating, set_batch_norm_mode
from segshift.models.devices import usable_device
from segshift.models.heads import LEVELS, DeepLabV2Head, Head, build_head
from segshift.models.hub import HubModel
from segshift.models.inference_config import Inference
from segshift.models.libraries.foreign import foreign_network
from segshift.models.libraries.own import check_trusted
from segshift.models.model_file import fill, read_model, write_model
from segshift.models.multi_resolution import MultiResolution, build_attention
from segshift.models.prediction import OneImage, is_batch, predict_all, predict_ids
from segshift.models.resize import upsample
from segshift.models.segmenter_config import OutputStride, SegmenterConfig
from segshift.models.segmenter_metadata import SegmenterMetadata
from segshift.models.segmenter_output import SegmenterOutput
from segshift.models.timm_features import STRIDES
from segshift.sizes import HeightWidth, of_tensors

_FCN8S_STRIDES = (8, 16, 32)
# A multiple of all strides and patch sizes.
_PROBE_PX = 224


class Segmenter(HubModel, nn.Module):
    """A backbone with its classifiers for a set of classes.

    Its parameters' names begin with `backbone.`, `head.`, `second_head.`, `auxiliary_head.` or
    `multi_resolution.`.

    Attributes:
        config: what it was made from.
        classes: the class set; `class_names` and `palette` are its parts.
        pixel_statistics: what `normalize` does.
        head: the classifier.
        second_head: the one beside it; None unless the configuration has two.
        auxiliary_head: the one on the stage before the last; None unless configured.
        multi_resolution: what looks at images twice (HRDA); None unless configured.
    """

    mean: Tensor
    std: Tensor
    head: nn.Module
    second_head: nn.Module | None
    auxiliary_head: nn.Module | None
    multi_resolution: MultiResolution | None

    def __init__(
        self,
        config: SegmenterConfig | Mapping[str, Any],
        classes: ClassSet | Sequence[str] | str,
        *,
        pixel_statistics: PixelStatistics | None = None,
    ) -> None:
        """Build the network; random weights come from torch's global generator.

        Args:
            config: a `SegmenterConfig`, or its keys as in a recipe's `model:`.
            classes: names in the order of the train ids, or the name of a set (`cityscapes19`).
            pixel_statistics: instead of those of the backbone's published weights.

        Raises:
            InputError: a backbone, stride, head or weights that cannot be had.
        """
        super().__init__()
        config = parse(SegmenterConfig, config, "Segmenter")
        self.classes = classes if isinstance(classes, ClassSet) else class_set(classes)
        parts = foreign_network(config, self.class_names) if config.is_foreign else None
        if parts is None:
            self._assemble(config, self.classes.count)
        else:
            self.config = config.model_copy(update={"settings": parts.settings})
            self._channels = parts.channels
            self.backbone, self.head = parts.backbone, parts.heads[0]
            self.second_head = parts.heads[1] if len(parts.heads) > 1 else None
            self.auxiliary_head = None
            self.pixel_statistics = parts.pixel_statistics
        self.pixel_statistics = pixel_statistics or self.pixel_statistics
        # Not in the state dict: they travel in the file's metadata, as readable numbers.
        for name in ("mean", "std"):
            values = torch.tensor(getattr(self.pixel_statistics, name), dtype=torch.float32)
            self.register_buffer(name, values.view(1, 3, 1, 1), persistent=False)
        self.multi_resolution = self._new_multi_resolution()
        # That of heads starts from nothing and learns from the batch.
        set_batch_norm_mode(self, "batch")
        set_batch_norm_mode(
            self.backbone, config.batch_norm, affine_trained=config.batch_norm_affine == "trained"
        )
        set_backbone_training(self.backbone, config.backbone_training, config.lora)

    def _assemble(self, config: SegmenterConfig, classes: int) -> None:
        """A backbone with heads of ours."""
        fcn8s = config.head == "fcn8s"
        if fcn8s and config.auxiliary_head:
            raise InputError("auxiliary_head = true: head fcn8s has none; set auxiliary_head: false")
        size = None if config.input_size is None else of_tensors(config.input_size)
        stride: OutputStride = 32 if fcn8s and config.output_stride is None else config.output_stride
        backbone = build_backbone(config.backbone, config.weights, stride, max(2, LEVELS[config.head]), size)
        if fcn8s and backbone.pyramid_strides != _FCN8S_STRIDES:
            raise InputError(
                f"head = fcn8s: takes features at strides 8, 16 and 32, {config.backbone} with "
                f"output_stride: {stride} gives {', '.join(map(str, backbone.pyramid_strides))}; "
                "set output_stride: 32 or another head"
            )
        # What null came to is written down, so that a model file says it.
        own = backbone.pyramid_strides[-1]
        named = own if own in STRIDES else "native"
        self.config = config.model_copy(update={"output_stride": config.output_stride or named})
        self._channels = backbone.pyramid_channels
        self._strides = backbone.pyramid_strides
        self.pixel_statistics = CAFFE_PIXELS if config.pixels == "caffe_bgr" else backbone.pixel_statistics
        self.backbone = backbone.network
        self.head = self._new_head(classes)
        self.auxiliary_head = (
            DeepLabV2Head(self.auxiliary_channels, classes, config.head_dilations)
            if config.auxiliary_head
            else None
        )
        self.second_head = self._new_head(classes) if config.classifiers == 2 else None

    def _new_head(self, classes: int) -> Head:
        return build_head(self.config, self.pyramid_channels, classes)

    def _new_multi_resolution(self) -> MultiResolution | None:
        settings = self.config.multi_resolution
        if settings is None:
            return None
        attention = build_attention(self.config, settings, self.pyramid_channels, self.classes.count)
        return MultiResolution(settings, attention, self._logits_stride())

    def _logits_stride(self) -> int:
        """Px of the image to a cell of the logits; another library's network is asked with an empty image."""
        if not self.config.is_foreign:
            return self._strides[-1 if LEVELS[self.config.head] == 1 else 0]
        with evaluating(self), torch.no_grad():
            logits = self._look(torch.zeros(1, 3, _PROBE_PX, _PROBE_PX, device=self.device)).logits
        return max(1, round(_PROBE_PX / logits.shape[-1]))

    @property
    def pyramid_channels(self) -> tuple[int, ...]:
        """Channels of all features, shallow to deep. Raises InputError for a network that gives none."""
        if not self._channels[-1]:
            raise InputError(
                f"model: {self.config.title()} gives no features, which this method needs; return "
                "(logits, features), or use a method that needs logits alone"
            )
        return self._channels

    @property
    def feature_channels(self) -> int:
        """F of the last features. Raises InputError for a network that gives none."""
        return self.pyramid_channels[-1]

    @property
    def auxiliary_channels(self) -> int:
        """F' of the features of the stage before the last."""
        return self.pyramid_channels[-2]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of the train ids."""
        return self.classes.names

    @property
    def palette(self) -> NDArray[np.uint8]:
        """(256, 3) uint8 RGB colors by train id; ignore is black."""
        return self.classes.palette

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.mean.device

    def forward(self, images: Tensor) -> SegmenterOutput:
        """Normalised images (see `normalize`) of shape (N, 3, H, W) to features and logits."""
        return (
            self._look(images) if self.multi_resolution is None else self.multi_resolution(images, self._look)
        )

    def context(self, images: Tensor) -> Tensor:
        """What the backbone sees of normalised images as a whole: themselves, unless `multi_resolution`."""
        return images if self.multi_resolution is None else self.multi_resolution.context(images)

    def _look(self, images: Tensor) -> SegmenterOutput:
        pyramid = tuple(self.backbone(images))
        head_logits = self.classify(pyramid)
        return SegmenterOutput(
            features=pyramid[-1],
            logits=head_logits[0] if len(head_logits) == 1 else head_logits[0] + head_logits[1],
            auxiliary_features=pyramid[-2],
            auxiliary_logits=None if self.auxiliary_head is None else self.auxiliary_head(pyramid[-2]),
            head_logits=head_logits,
            pyramid=pyramid,
        )

    def classify(self, pyramid: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The logits (N, C, h, w) of each classifier on a pyramid of features, which may be detached."""
        heads = (self.head,) if self.second_head is None else (self.head, self.second_head)
        last_only = not self.config.is_foreign and LEVELS[self.config.head] == 1
        features = pyramid[-1] if last_only else pyramid
        return tuple(head(features) for head in heads)

    def normalize(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB images in [0, 1] to what the backbone was trained on; see `PixelStatistics`."""
        normal = (self.pixel_statistics.arranged(images) - self.mean) / self.std
        # In half precision if the network is. A recorded program holds no conversion that does nothing.
        return normal if normal.dtype == self.mean.dtype else normal.to(self.mean.dtype)

    def predict_probabilities(self, images: Tensor, size: HeightWidth) -> Tensor:
        """Softmax of the up-sampled logits, in the network's present mode.

        Args:
            images: (N, 3, H, W) RGB in [0, 1], on the segmenter's device.
            size: (height, width) of the result.

        Returns:
            (N, C, height, width), sums to 1 over the classes.
        """
        output: SegmenterOutput = self(self.normalize(images))
        return upsample(output.logits, size).float().softmax(dim=1)

    @overload
    def predict(
        self,
        images: OneImage,
        inference: Inference | None = ...,
        *,
        probabilities: Literal[False] = ...,
        device: str | torch.device | None = ...,
        batch_size: int = ...,
    ) -> NDArray[np.uint8]: ...
    @overload
    def predict(
        self,
        images: OneImage | Iterable[OneImage],
        inference: Inference | None = ...,
        *,
        probabilities: bool = ...,
        device: str | torch.device | None = ...,
        batch_size: int = ...,
    ) -> Any: ...
    def predict(
        self,
        images: OneImage | Iterable[OneImage],
        inference: Inference | None = None,
        *,
        probabilities: bool = False,
        device: str | torch.device | None = None,
        batch_size: int = 4,
    ) -> Any:
        """The class of every pixel of an image, or of several.

        By default images are resized to `config.input_size` if that is set; scores are up-sampled to the
        images' own size. Evaluation mode is used whatever mode the network is in.

        Args:
            images: a file, a PIL image, an (H, W, 3) array or a (3, H, W) tensor; or several: a list or any
                iterable of those, an (N, H, W, 3) array or an (N, 3, H, W) tensor. Arrays and tensors hold
                uint8 RGB, or floats in [0, 1].
            inference: other sizes, windows, scales and flips.
            probabilities: give a `Prediction` for every image, with probabilities, confidence and overlay.
            device: moves the network there; None leaves it where it is.
            batch_size: at most so many images of equal size at once.

        Returns:
            For one image (H, W) uint8 train ids or its `Prediction`; for several a list of those.

        Raises:
            InputError: an unreadable file, anything but three channels, values outside [0, 1], scores that
                are not finite, or no such device.
        """
        if device is not None:
            self.to(usable_device(device))
        several = is_batch(images)
        listed: Iterable[OneImage] = cast(Iterable[OneImage], images) if several else [cast(OneImage, images)]
        predict = predict_all if probabilities else predict_ids
        found = list(predict(self, listed, inference or Inference(), batch_size))
        return found if several else found[0]

    def save(self, path: str | Path) -> None:
        """Write weights, configuration, classes, colors and pixel statistics as one safetensors file.

        Low-rank additions go into the weights, so that the file holds a plain network.
        """
        plain = self.config.model_copy(update={"backbone_training": "all", "lora": None})
        metadata = SegmenterMetadata.of(plain, self.classes, self.pixel_statistics)
        write_model(path, merged_state(self), metadata.model_dump_json())

    @classmethod
    def load(
        cls, path: str | Path, device: str | torch.device = "cpu", trust_code: bool = False
    ) -> "Segmenter":
        """The segmenter in a file written by `save`, or in the run folder that holds it, in evaluation mode.

        Needs no network connection: all weights come from the file.

        Args:
            path: a `.safetensors` file, a folder with `model.safetensors`, or RUN@STEP, a run's network
                after so many steps (`training.keep_checkpoints`).
            device: device to put it on.
            trust_code: whether a model that names a module of one's own (`FILE.py:NAME`) may run that code;
                the environment variable SEGSHIFT_TRUST_CODE=1 says the same.

        Raises:
            InputError: a missing, broken or foreign file, a module that is not trusted, or a step of which
                nothing is kept.
        """
        file = model_file(path)
        data, tensors = read_model(file)
        metadata = parse(SegmenterMetadata, data, where=str(file))
        if metadata.config.module is not None:
            check_trusted(metadata.config.module, file, trust_code)
        # The configuration keeps the source of the initial weights, but nothing is fetched from there.
        bare = metadata.config.model_copy(update={"weights": "none"})
        try:
            classes = metadata.classes()
            # Whether the file fits is known before memory is taken. Another library's network cannot be
            # counted on to be built without any.
            if not bare.is_foreign:
                with torch.device("meta"):
                    hollow = cls(bare, classes)
                fill(hollow, tensors, file, metadata.version, "train or export it again")
            segmenter = cls(bare, classes, pixel_statistics=metadata.pixel_statistics())
        except InputError as error:
            text = str(error)
            raise InputError(text if text.startswith(str(file)) else f"{file}: {text}") from None
        segmenter.config = metadata.config
        fill(segmenter, tensors, file, metadata.version, "train or export it again")
        return segmenter.to(device).eval()
