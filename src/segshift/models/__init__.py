"""Networks: the segmenter, its parts, and the discriminators that play against it."""

from typing import TYPE_CHECKING

from segshift.lazy import on_demand

if TYPE_CHECKING:
    from segshift.models.backbone_training import merged_state, set_backbone_training
    from segshift.models.backbones import PixelStatistics, build_backbone
    from segshift.models.batch_norm import adapt_batch_norm, evaluating, set_batch_norm_mode
    from segshift.models.discriminators import (
        FeatureDiscriminator,
        FineGrainedDiscriminator,
        FullyConvolutionalDiscriminator,
        WholeMapDiscriminator,
    )
    from segshift.models.heads import DAFormerHead, DeepLabV2Head, FCN8sHead, LinearHead, SegFormerHead
    from segshift.models.inference_config import Inference
    from segshift.models.loading import load
    from segshift.models.pixels import network_input
    from segshift.models.prediction import Prediction
    from segshift.models.resize import resize_images, upsample
    from segshift.models.segmenter import Segmenter
    from segshift.models.segmenter_config import SegmenterConfig
    from segshift.models.segmenter_output import SegmenterOutput

__all__ = [
    "DAFormerHead",
    "DeepLabV2Head",
    "FCN8sHead",
    "FeatureDiscriminator",
    "FineGrainedDiscriminator",
    "FullyConvolutionalDiscriminator",
    "Inference",
    "LinearHead",
    "PixelStatistics",
    "Prediction",
    "SegFormerHead",
    "Segmenter",
    "SegmenterConfig",
    "SegmenterOutput",
    "WholeMapDiscriminator",
    "adapt_batch_norm",
    "build_backbone",
    "evaluating",
    "load",
    "merged_state",
    "network_input",
    "resize_images",
    "set_backbone_training",
    "set_batch_norm_mode",
    "upsample",
]

__getattr__ = on_demand(__name__, __file__)
