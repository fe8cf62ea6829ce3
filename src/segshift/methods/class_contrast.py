"""Pixels contrasted to the distributions of classes (SePiCo), on top of any other method."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from segshift.losses import class_contrast
from segshift.methods.averaged_teacher import AveragedTeacher, teachers
from segshift.methods.term import Look, Prediction, Term, TermConfig, trained_feature_channels
from segshift.models.batch_norm import set_batch_norm_mode
from segshift.models.resize import upsample
from segshift.models.segmenter import Segmenter
from segshift.ranges import Channels, NotNegative, Share
from segshift.shared_batch import mean_over_processes, processes
from segshift.sizes import HeightWidth, height_width
from segshift.train_ids import IGNORE


class ClassContrastConfig(TermConfig):
    """Configuration of the class contrast.

    Attributes:
        weight: of the loss, on the source and on the target each.
        temperature: tau; large, since the features have length 1 and the authors' value is 100.
        levels: features that are projected: the last, or all side by side, as for MiT in the authors' code.
        channels: A, of the projected features.
        min_share: a cell of the features has a label if one class covers at least this share of it.
    """

    term: Literal["class_contrast"] = "class_contrast"
    weight: NotNegative = 1.0
    temperature: Annotated[float, Field(gt=0)] = 100.0
    levels: Literal["last", "all"] = "last"
    channels: Channels = 512
    min_share: Share = 0.75

    def tiny(self) -> Self:
        """Also with few channels."""
        return super().tiny().model_copy(update={"channels": min(self.channels, 16)})


class ClassContrast(Term):
    r"""Projected features are pulled to the distribution of their class and pushed off those of the others.

    The distributions, a mean and a diagonal variance per class, are those of all source features since the
    term woke up, each step's merged into them by its share of the cells. The target is contrasted to them by
    the labels of the first other term with a teacher (mean_teacher, masked_consistency), where their weight
    is not 0; without a teacher in the method, the source alone is. It sleeps while that term does.

    Source: Xie et al., SePiCo, TPAMI 2023; projection (two 1x1 convolutions with batch norm and ReLU, length
    1), statistics, temperature and the share of a cell from its public code. It takes the statistics from the
    teacher's features, for which it runs the teacher on the source, and adds a regularizer.
    """

    Config = ClassContrastConfig
    why_splits_differ = "the distributions move with every part"
    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, config: ClassContrastConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.config = config
        last = trained_feature_channels(segmenter)
        levels = segmenter.pyramid_channels if config.levels == "all" else (last,)
        self.projection = _projection(sum(levels), sum(levels) // len(levels), config.channels)
        classes = len(segmenter.class_names)
        self.register_buffer("mean", torch.zeros(classes, config.channels))
        self.register_buffer("variance", torch.zeros(classes, config.channels))
        self.register_buffer("count", torch.zeros(classes, 1))
        # A tuple, since a module would be registered a second time.
        self._host: tuple[AveragedTeacher, ...] = ()

    def join(self, terms: Sequence[Term]) -> None:
        """Take the target's labels from the first term with a teacher, if there is one."""
        self._host = tuple(teachers(terms)[:1])
        self.uses_target = self.uses_target_prediction = bool(self._host)
        self.start_step = max([self.start_step, *(host.start_step for host in self._host)])

    def on_source(self, look: Look) -> dict[str, Tensor]:
        """The source's loss, after its features have moved the distributions."""
        features = self._project(look.source)
        labels = self._cells(look.batch.source_labels, height_width(features))
        self._update(features.detach().float(), labels)
        return {"source": self._loss(features, labels)}

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """The target's loss by the teacher's labels."""
        if not self._host:
            return {}
        labels, weights = self._host[0].pseudo_labels(look)
        features = self._project(look.target_prediction())
        cells = self._cells(labels.where(weights > 0, IGNORE), height_width(features))
        return {"target": self._loss(features, cells)}

    def _loss(self, features: Tensor, labels: Tensor) -> Tensor:
        # Copies, since the graph outlives the next update of the distributions.
        mean, variance = self.mean.clone(), self.variance.clone()
        loss = class_contrast(features, labels, mean, variance, self.config.temperature)
        return self.config.weight * loss

    def _project(self, prediction: Prediction) -> Tensor:
        """(N, A, h, w) of length 1 along A."""
        levels = prediction.pyramid if self.config.levels == "all" else (prediction.features,)
        size = height_width(levels[0])
        joined = torch.cat([upsample(level, size) for level in levels], dim=1)
        projected: Tensor = self.projection(joined)
        return F.normalize(projected, dim=1)

    def _cells(self, labels: Tensor, size: HeightWidth) -> Tensor:
        """(N, h, w): the class that covers `min_share` of a cell, else ignored."""
        shares = [F.adaptive_avg_pool2d((labels == c)[:, None].float(), size) for c in range(len(self.count))]
        share, ids = torch.cat(shares, dim=1).max(dim=1)
        return ids.where((share >= self.config.min_share) & (share > 0), IGNORE)

    @torch.no_grad()
    def _update(self, features: Tensor, labels: Tensor) -> None:
        """Merge the cells' mean and variance per class into those of all before them."""
        own = torch.stack([labels == c for c in range(len(self.count))], dim=1).float()
        # Of all processes that share the batch.
        count = processes() * mean_over_processes(own.sum(dim=(0, 2, 3)))[:, None]
        sums = processes() * mean_over_processes(torch.einsum("nchw,nahw->ca", own, features))
        squares = processes() * mean_over_processes(torch.einsum("nchw,nahw->ca", own, features.square()))
        mean = sums / count.clamp(min=1)
        variance = (squares / count.clamp(min=1) - mean.square()).clamp(min=0)
        share = count / (self.count + count).clamp(min=1)
        apart = share * (1 - share) * (self.mean - mean).square()
        self.variance.copy_((1 - share) * self.variance + share * variance + apart)
        self.mean.lerp_(mean, share)
        self.count.add_(count)


def _projection(in_channels: int, between: int, channels: int) -> nn.Sequential:
    """Two 1x1 convolutions with batch norm and ReLU, which learns from the batch as that of heads does."""
    layers: list[nn.Module] = []
    for before, after in ((in_channels, between), (between, channels)):
        layers += [nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    projection = nn.Sequential(*layers)
    set_batch_norm_mode(projection, "batch")
    return projection
