"""What a segmenter's file says about its weights."""

from typing import Annotated, Literal, Self

from pydantic import Field

from segshift.config import Strict
from segshift.data.labels import ClassSet, Color
from segshift.models.backbones import PixelStatistics
from segshift.models.segmenter_config import SegmenterConfig
from segshift.version import __version__

_Positive = Annotated[float, Field(gt=0)]


class SegmenterMetadata(Strict):
    """What a model file says about its weights."""

    version: str
    config: SegmenterConfig
    class_set: str
    class_names: tuple[str, ...]
    class_colors: tuple[Color, ...]
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[_Positive, _Positive, _Positive]
    pixel_scale: _Positive = 1.0
    pixel_order: Literal["rgb", "bgr"] = "rgb"

    @classmethod
    def of(cls, config: SegmenterConfig, classes: ClassSet, statistics: PixelStatistics) -> Self:
        """That of a segmenter with this configuration, these classes and this normalization."""
        return cls(
            version=__version__,
            config=config,
            class_set=classes.name,
            class_names=classes.names,
            class_colors=classes.colors,
            pixel_mean=statistics.mean,
            pixel_std=statistics.std,
            pixel_scale=statistics.scale,
            pixel_order=statistics.order,
        )

    def classes(self) -> ClassSet:
        """The class set. Raises InputError for names or colors that make none."""
        return ClassSet(self.class_set, self.class_names, self.class_colors)

    def pixel_statistics(self) -> PixelStatistics:
        """How images are normalized."""
        return PixelStatistics(self.pixel_mean, self.pixel_std, self.pixel_scale, self.pixel_order)
