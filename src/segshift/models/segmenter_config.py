"""What a segmenter is made from: the `model:` section of a recipe, and a part of every model file."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from segshift.config import Strict
from segshift.ranges import Dilation, NotNegative, Share
from segshift.sizes import Fit, WidthHeight

OutputStride = Literal[8, 16, 32, "native"] | None
BatchNormMode = Literal["frozen", "running", "batch"]
BackboneTraining = Literal["all", "frozen", "lora"]

# What describes segshift's own networks alone.
_OF_OUR_NETWORKS = (
    "backbone", "pixels", "output_stride", "head", "head_channels", "head_dilations", "skip_factors",
)  # fmt: skip


class LoraConfig(Strict):
    """The low-rank additions.

    Attributes:
        rank: r, of each addition; at most the smaller side of the weight.
        alpha: the addition is multiplied by alpha / r.
        layers: ends of the names of the linear and convolutional layers that get one (`attn.qkv`, `fc1`);
            null takes the linear layers of attention or, in a network without any, all that are not grouped.
    """

    rank: int = Field(16, ge=1, le=1024)
    alpha: float = Field(16.0, gt=0, le=1024)
    layers: list[str] | None = Field(None, min_length=1)


class MultiResolutionConfig(Strict):
    """How an image is seen twice, and how two predictions become one.

    Attributes:
        shrink: how many times smaller than the image its context is seen.
        detail: (width, height) in px of the parts that are seen at the image's own size; rounded up to whole
            cells of the context, and never larger than the image.
        attention: whether each class has weights of its own, or one weight per place serves all.
        attention_channels: width of the attention's decoder beside the heads segformer and daformer.
        loss_weight: share of the detail's own loss in every supervised loss (lambda_d).
    """

    shrink: int = Field(2, ge=2, le=8)
    detail: WidthHeight = WidthHeight((512, 512))
    attention: Literal["per_class", "shared"] = "per_class"
    attention_channels: int = Field(256, ge=1, le=4096)
    loss_weight: Share = 0.1


class SegmenterConfig(Strict):
    """Configuration of a segmenter.

    Attributes:
        library: whose network it is: segshift's (a timm backbone with a head), smp
            (segmentation-models-pytorch) or transformers. Another library's network brings its own head, so
            the keys that describe ours are set aside: backbone, output_stride, pixels and those of the head.
        architecture: the network of that library: Unet, FPN, Segformer ... or Segformer, UperNet.
        encoder: smp's encoder: resnet34, mit_b0, tu-convnext_tiny ...
        module: a network of one's own, FILE.py:NAME, a function of the number of classes; see
            `models.libraries.own`. Building it runs that code.
        settings: further arguments of that network.
        backbone: a timm name (resnet101, resnet101.tv_in1k with torchvision's weights, convnext_tiny ...),
            mit_b0 to mit_b5 (SegFormer's), caffe_resnet101, caffe_resnet50, vgg16, vgg16_fc or segshift_tiny.
        weights: imagenet (from the model hub), none, package (tf_efficientnet_lite0 or mobilenetv2_100
            from a pip package) or the path of a state dict of that backbone.
        pixels: what the weights take: published = as the backbone's published weights; caffe_bgr = BGR in
            [0, 255] minus the mean color, for a file of VGG-16 weights from Caffe.
        output_stride: of the last features, in px of the image: 8, 16 or 32 (strides beyond it become
            dilations), or native: the network's own. null is 8 (32 for fcn8s) where the network can have it,
            else native.
        head: deeplab_v2 or linear (batch norm and 1x1 convolution, for foundation backbones) on the last
            features; fcn8s on three levels (vgg16_fc or a timm backbone, output_stride 32); segformer
            (all-MLP) or daformer (context-aware fusion) on four levels.
        head_channels: width of the decoders segformer and daformer.
        classifiers: 2 puts two heads of the same kind side by side, and their logits are added (CLAN).
        auxiliary_head: another classifier on the stage before the last.
        batch_norm: what the backbone's batch norm does in training mode: frozen = running averages normalise
            and stay; running = they normalise, then are updated; batch = the batch's statistics normalise.
        batch_norm_affine: whether its scales and offsets are trained or frozen. Batch norm in a head starts
            from nothing, so it always learns from the batch.
        backbone_training: all, frozen (the heads alone are trained; what batch norm does is said above), or
            lora: its weights are frozen too, and low-rank additions to some of them are trained. A model
            file holds whole weights, whatever was trained.
        lora: rank, alpha and layers of these additions; null takes the default ones.
        head_dilations: of the deeplab_v2 classifier's parallel convolutions.
        skip_factors: what fcn8s multiplies the features at strides 8 and 16 by.
        input_size: (width, height) in px to which `predict` resizes images; None keeps their size. A network
            that is built for one size (Hiera, MaxViT ...) is built for this one, and sees every image in it.
        input_fit: what becomes of images with other proportions, see `Inference.fit`. A run takes its
            target's `augmentation.fit`.
        multi_resolution: see every image small as a whole and large in parts, and fuse both (HRDA), around
            any network; null sees it once.
    """

    library: Literal["segshift", "smp", "transformers"] = "segshift"
    architecture: str | None = None
    encoder: str = "resnet34"
    module: str | None = Field(None, pattern=r".\.py:\w+$")
    settings: dict[str, Any] = Field(default_factory=dict)
    backbone: str = "resnet101"
    weights: str = "imagenet"
    pixels: Literal["published", "caffe_bgr"] = "published"
    output_stride: OutputStride = None
    head: Literal["deeplab_v2", "linear", "fcn8s", "segformer", "daformer"] = "deeplab_v2"
    head_channels: int = Field(256, ge=1, le=4096)
    classifiers: Literal[1, 2] = 1
    auxiliary_head: bool = False
    batch_norm: BatchNormMode = "batch"
    batch_norm_affine: Literal["trained", "frozen"] = "trained"
    backbone_training: BackboneTraining = "all"
    lora: LoraConfig | None = None
    head_dilations: tuple[Dilation, ...] = Field((6, 12, 18, 24), min_length=1, max_length=16)
    skip_factors: tuple[NotNegative, NotNegative] = (1.0, 1.0)
    input_size: WidthHeight | None = None
    input_fit: Fit = "stretch"
    multi_resolution: MultiResolutionConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_what_applies(cls, data: Any) -> Any:
        """A preset's keys for segshift's own networks mean nothing to another's."""
        if isinstance(data, dict) and (data.get("module") or data.get("library", "segshift") != "segshift"):
            return {key: value for key, value in data.items() if key not in _OF_OUR_NETWORKS}
        return data

    @model_validator(mode="after")
    def _named_completely(self) -> Self:
        if self.module is not None and self.library != "segshift":
            raise ValueError(f"module: {self.module} and library: {self.library} are two networks; give one")
        if self.library != "segshift" and self.architecture is None:
            raise ValueError(f"library: {self.library} needs `architecture: NAME`")
        if self.is_foreign and self.auxiliary_head:
            raise ValueError("auxiliary_head: true: only segshift's own networks have one")
        if self.module is not None and self.backbone_training != "all":
            raise ValueError(
                f"backbone_training: {self.backbone_training}: where the backbone of a module of one's own "
                "ends is not known; freeze its parameters where it is built (requires_grad_(False))"
            )
        if self.lora is not None and self.backbone_training != "lora":
            raise ValueError("lora: is used with backbone_training: lora alone; set that, or leave it out")
        if self.settings and not self.is_foreign:
            raise ValueError("settings: are those of another library's network or of a module")
        return self

    @property
    def is_foreign(self) -> bool:
        """Whether the network is another library's or one's own."""
        return self.module is not None or self.library != "segshift"

    def title(self) -> str:
        """The network's name, for people."""
        if self.module is not None:
            return self.module.rpartition("/")[2]
        if self.library == "smp":
            return f"{self.library} {self.architecture} on {self.encoder}"
        return self.backbone if self.library == "segshift" else f"{self.library} {self.architecture}"
