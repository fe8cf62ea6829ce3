"""Self-training with an averaged teacher and a threshold per class; it needs no source images."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from segshift.methods.averaged_teacher import AveragedTeacher, AveragedTeacherConfig
from segshift.methods.term import Look, Prediction
from segshift.models.segmenter import Segmenter
from segshift.ranges import Decay
from segshift.shared_batch import whole_batch
from segshift.sizes import height_width


class BalancedSelfTrainingConfig(AveragedTeacherConfig):
    """Configuration of the class-balanced self-training.

    Attributes:
        portion: of the pixels that the teacher gives a class, the share that counts, the surest first.
        threshold_decay: how much of a class's threshold stays from step to step.
    """

    term: Literal["balanced_self_training"] = "balanced_self_training"
    ema_decay: float = Field(0.99, ge=0, lt=1)
    portion: float = Field(0.5, gt=0, le=1)
    threshold_decay: Decay = 0.9


class BalancedSelfTraining(AveragedTeacher):
    r"""The student learns, on images of other colors, what the teacher is surest of in each class.

    .. math:: L = \frac{\lambda}{|X|} \sum_x [q_x \ge \theta_{y_x}] \, \mathrm{CE}(f(x'), y_x), \quad
        \theta_c \leftarrow \beta \theta_c + (1 - \beta) \, Q_{1 - p} \{ q_x : y_x = c \}

    with the teacher's labels y, their probabilities q, and the quantile Q of those of one class in the batch.
    One threshold for all would leave rare classes without labels, since a network is never sure of them. A
    class that the batch lacks keeps its threshold; its first one is taken as it is.

    Source: the surest share of each class from Zou et al., Unsupervised domain adaptation for semantic
    segmentation via class-balanced self-training (CBST), ECCV 2018; thresholds that move with the batches
    from Mei et al., Instance adaptive self-training (IAST), ECCV 2020.
    """

    Config = BalancedSelfTrainingConfig
    config: BalancedSelfTrainingConfig
    why_splits_differ = "color jitter and blur are drawn at random, thresholds are those of each part"
    thresholds: Tensor

    def __init__(self, config: BalancedSelfTrainingConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        # No class has been seen yet.
        self.register_buffer("thresholds", torch.full((len(segmenter.class_names),), -1.0))

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """The student's cross-entropy on the pixels that count."""
        images = look.batch.target_images
        labels, weights = self.pseudo_labels(look)
        seen = look.segmenter(look.segmenter.normalize(self._augment(images)))
        prediction = Prediction.of(seen, height_width(images))
        return {"surest": self.config.weight * prediction.cross_entropy(labels, weights)}

    def _weights(self, confidence: Tensor, labels: Tensor) -> Tensor:
        """1 for the surest pixels of every class, after the thresholds have moved; else 0."""
        sureness, classes = whole_batch(confidence), whole_batch(labels)
        for index in torch.unique(classes).tolist():
            own = sureness[classes == index]
            kept = max(1, round(self.config.portion * own.numel()))
            quantile = own.kthvalue(own.numel() - kept + 1).values
            before = self.thresholds[index]
            moved = quantile.lerp(before, self.config.threshold_decay)
            self.thresholds[index] = torch.where(before < 0, quantile, moved)
        return (confidence >= self.thresholds[labels]).float()
