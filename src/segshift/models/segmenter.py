"""The segmentation network: backbone, heads, and what belongs to a model file besides its weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from segshift import __version__
from segshift.config import Strict, parse
from segshift.data.images import read_image
from segshift.data.labels import ClassSet
from segshift.errors import InputError
from segshift.files import atomic_path
from segshift.models.backbones import PixelStatistics, build_backbone
from segshift.models.batch_norm import BatchNormMode, evaluating, set_batch_norm_mode
from segshift.models.heads import DeepLabV2Head
from segshift.models.resize import Size, resize_images, upsample

MODEL_FILE = "model.safetensors"
_METADATA_KEY = "segshift"


class SegmenterConfig(Strict):
    """Configuration of a segmenter.

    Attributes:
        backbone: a timm name (resnet101, mobilenetv3_large_100, tf_efficientnet_lite0, convnext_tiny ...)
            or segshift_tiny.
        weights: imagenet (from the model hub), none, package (EfficientNet-Lite0 from the pip package) or
            the path of a state dict of that backbone.
        output_stride: of the features, in px of the image.
        auxiliary_head: a second classifier on the stage before the last.
        batch_norm: what batch norm does in training mode: frozen = running averages normalise and stay;
            running = they are updated, then normalise; batch = the batch's statistics normalise.
        batch_norm_affine: whether batch norm's scales and offsets are trained or frozen.
        head_dilations: of the classifier's parallel convolutions.
        input_size: (width, height) in px to which `predict` resizes images; None keeps their size.
    """

    backbone: str = "resnet101"
    weights: str = "imagenet"
    output_stride: Literal[8, 16, 32] = 8
    auxiliary_head: bool = False
    batch_norm: BatchNormMode = "batch"
    batch_norm_affine: Literal["trained", "frozen"] = "trained"
    head_dilations: tuple[int, ...] = Field((6, 12, 18, 24), min_length=1)
    input_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class SegmenterOutput:
    """What one forward pass gives, all at the resolution of the features.

    Attributes:
        features: (N, F, h, w), of the backbone's last stage.
        logits: (N, C, h, w).
        auxiliary_features: (N, F', h', w'), of the stage before the last.
        auxiliary_logits: (N, C, h', w'); None without an auxiliary head.
    """

    features: Tensor
    logits: Tensor
    auxiliary_features: Tensor | None = None
    auxiliary_logits: Tensor | None = None


class _Metadata(Strict):
    """What a model file says about its weights."""

    version: str
    config: SegmenterConfig
    class_set: str
    class_names: tuple[str, ...]
    class_colors: tuple[tuple[int, int, int], ...]
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]


class Segmenter(nn.Module):
    """A backbone with one classifier, or two, for a set of classes.

    Its parameters' names begin with `backbone.`, `head.` or `auxiliary_head.`.

    Attributes:
        config: what it was made from.
        classes: the class set; `class_names` and `palette` are its parts.
        feature_channels: F of the last features.
        auxiliary_channels: F' of the features of the stage before.
        pixel_statistics: RGB mean and standard deviation that `normalize` uses.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, config: SegmenterConfig, classes: ClassSet, *, pixel_statistics: PixelStatistics | None = None
    ) -> None:
        """Build the network; random weights come from torch's global generator.

        Args:
            config: see `SegmenterConfig`.
            classes: the classes to tell apart.
            pixel_statistics: instead of those of the backbone's published weights.

        Raises:
            InputError: a backbone, stride or weights that cannot be had.
        """
        super().__init__()
        backbone = build_backbone(config.backbone, config.weights, config.output_stride)
        self.config = config
        self.classes = classes
        self.feature_channels = backbone.channels
        self.auxiliary_channels = backbone.auxiliary_channels
        self.pixel_statistics = pixel_statistics or backbone.pixel_statistics
        self.backbone = backbone.network
        self.head = DeepLabV2Head(self.feature_channels, classes.count, config.head_dilations)
        self.auxiliary_head = (
            DeepLabV2Head(self.auxiliary_channels, classes.count, config.head_dilations)
            if config.auxiliary_head
            else None
        )
        # Not in the state dict: they travel in the file's metadata, as readable numbers.
        for name in ("mean", "std"):
            values = torch.tensor(getattr(self.pixel_statistics, name), dtype=torch.float32)
            self.register_buffer(name, values.view(1, 3, 1, 1), persistent=False)
        set_batch_norm_mode(self, config.batch_norm, affine_trained=config.batch_norm_affine == "trained")

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
        auxiliary_features, features = self.backbone(images)
        return SegmenterOutput(
            features=features,
            logits=self.head(features),
            auxiliary_features=auxiliary_features,
            auxiliary_logits=None if self.auxiliary_head is None else self.auxiliary_head(auxiliary_features),
        )

    def normalize(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB images in [0, 1] to what the backbone was trained on: (x - mean) / std."""
        return (images - self.mean) / self.std

    def predict_probabilities(self, images: Tensor, size: Size) -> Tensor:
        """Softmax of the up-sampled logits, in the network's present mode.

        Args:
            images: (N, 3, H, W) RGB in [0, 1], on the segmenter's device.
            size: (height, width) of the result.

        Returns:
            (N, C, height, width), sums to 1 over the classes.
        """
        output: SegmenterOutput = self(self.normalize(images))
        return upsample(output.logits, size).float().softmax(dim=1)

    def predict(self, image: str | Path | Image.Image | NDArray[Any] | Tensor) -> NDArray[np.uint8]:
        """The class of every pixel of one image.

        The image is resized to `config.input_size` if that is set, and the logits are up-sampled to the
        image's own size. Evaluation mode is used whatever mode the network is in.

        Args:
            image: a file, an RGB PIL image, an (H, W, 3) uint8 array or a (3, H, W) uint8 tensor.

        Returns:
            (H, W) uint8 train ids.

        Raises:
            InputError: an unreadable file, or anything but three channels of 8 bits.
        """
        pixels = _pixels(image)
        size = (pixels.shape[1], pixels.shape[2])
        with evaluating(self), torch.inference_mode():
            images = network_input(pixels[None].to(self.device), self.config.input_size)
            output: SegmenterOutput = self(self.normalize(images))
            ids = upsample(output.logits, size).argmax(dim=1)[0]
        return ids.to("cpu", torch.uint8).numpy()

    def save(self, path: str | Path) -> None:
        """Write weights, configuration, classes, colors and pixel statistics as one safetensors file."""
        metadata = _Metadata(
            version=__version__,
            config=self.config,
            class_set=self.classes.name,
            class_names=self.classes.names,
            class_colors=self.classes.colors,
            pixel_mean=self.pixel_statistics.mean,
            pixel_std=self.pixel_statistics.std,
        )
        tensors = {key: value.detach().cpu().contiguous() for key, value in self.state_dict().items()}
        with atomic_path(path) as temporary:
            # One key only: safetensors writes several in random order, but equal models shall be equal files.
            save_file(tensors, temporary, {_METADATA_KEY: metadata.model_dump_json()})

    @classmethod
    def load(cls, path: str | Path, map_location: str | torch.device = "cpu") -> "Segmenter":
        """The segmenter in a file written by `save`, or in the run folder that holds it, in evaluation mode.

        Needs no network connection: all weights come from the file.

        Args:
            path: a `.safetensors` file, or a folder with `model.safetensors`.
            map_location: device to put it on.

        Raises:
            InputError: a missing, broken or foreign file.
        """
        path = Path(path).expanduser()
        file = path / MODEL_FILE if path.is_dir() else path
        metadata, tensors = _read(file)
        # The configuration keeps the source of the initial weights, but nothing is fetched from there.
        bare = metadata.config.model_copy(update={"weights": "none"})
        classes = ClassSet(metadata.class_set, metadata.class_names, metadata.class_colors)
        statistics = PixelStatistics(metadata.pixel_mean, metadata.pixel_std)
        segmenter = cls(bare, classes, pixel_statistics=statistics)
        segmenter.config = metadata.config
        try:
            segmenter.load_state_dict(tensors)
        except RuntimeError as error:
            detail = " ".join(str(error).split())
            raise InputError(
                f"{file}: its tensors do not fit its configuration ({detail[:160]}); it was written by "
                f"segshift {metadata.version}, this is {__version__}: train or export it again"
            ) from None
        return segmenter.to(map_location).eval()


def load(path: str | Path, map_location: str | torch.device = "cpu") -> Segmenter:
    """The segmenter in a model file or run folder; see `Segmenter.load`."""
    return Segmenter.load(path, map_location)


def network_input(images: Tensor, input_size: tuple[int, int] | None) -> Tensor:
    """Images as the network takes them, before normalisation.

    Args:
        images: (N, 3, H, W), uint8 or in [0, 1].
        input_size: (width, height) in px; None keeps the size.

    Returns:
        (N, 3, height, width) in [0, 1].
    """
    if input_size is not None:
        images = resize_images(images, (input_size[1], input_size[0]))
    return images.float() / 255 if images.dtype == torch.uint8 else images


def _read(file: Path) -> tuple[_Metadata, dict[str, Tensor]]:
    if not file.is_file():
        raise InputError(f"{file}: no such file; give a model file or a run folder that holds {MODEL_FILE}")
    try:
        with safe_open(file, framework="pt", device="cpu") as stream:
            text = (stream.metadata() or {}).get(_METADATA_KEY)
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError):
        raise InputError(f"{file}: not a complete safetensors file; train or export it again") from None
    if text is None:
        raise InputError(f"{file}: holds no segshift configuration; give a file written by segshift")
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        raise InputError(f"{file}: its segshift configuration is broken; export the model again") from None
    return parse(_Metadata, data, where=str(file)), tensors


def _pixels(image: str | Path | Image.Image | NDArray[Any] | Tensor) -> Tensor:
    """(3, H, W) uint8."""
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.uint8 or image.numel() == 0:
            kind, shape = str(image.dtype).removeprefix("torch."), tuple(image.shape)
            raise InputError(f"predict: got a {kind} tensor of shape {shape}; give (3, H, W) uint8, RGB")
        return image
    if isinstance(image, str | Path):
        image = read_image(Path(image).expanduser())
    elif isinstance(image, Image.Image):
        if image.mode != "RGB":
            raise InputError(f"predict: got a PIL image of mode {image.mode}; use image.convert('RGB')")
        image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise InputError(
            f"predict: got a {image.dtype} array of shape {image.shape}; give (H, W, 3) uint8, RGB"
        )
    return torch.from_numpy(np.ascontiguousarray(image).copy()).permute(2, 0, 1)
