"""Self-training with an averaged teacher on class-mixed images, as in DACS."""

from typing import Literal

import torch
from torch import Tensor

from segshift.methods.averaged_teacher import ConfidentTeacher, ConfidentTeacherConfig
from segshift.methods.term import Look, Prediction
from segshift.models.segmenter import Segmenter
from segshift.shared_batch import own_part, whole_batch
from segshift.sizes import height_width
from segshift.train_ids import IGNORE

Window = tuple[slice, slice]


class MeanTeacherConfig(ConfidentTeacherConfig):
    """Configuration of the mean teacher.

    Attributes:
        class_mix: paste half of a source image's classes onto the target image; False trains on the plain
            target image.
    """

    term: Literal["mean_teacher"] = "mean_teacher"
    class_mix: bool = True


class MeanTeacher(ConfidentTeacher):
    """The teacher labels the target; the student learns from target images with source objects pasted in.

    Source: Tranheden et al., DACS, WACV 2021, sections 3.1 and 3.2; class mix from Olsson et al. 2021.
    `share_of: batch` and `ema_decay: 0.999` are DAFormer's (Hoyer et al., CVPR 2022).
    """

    Config = MeanTeacherConfig
    why_splits_differ = "classes, windows, color jitter and blur are drawn at random"

    def __init__(self, config: MeanTeacherConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.class_mix = config.class_mix
        self.needs_source = config.class_mix

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """The student's loss on mixed images, labelled by the source's truth and by the teacher."""
        batch = look.batch
        labels, weights = self.pseudo_labels(look)
        images = batch.target_images
        if self.class_mix:
            images, labels, weights = class_mix(
                batch.source_images, batch.source_labels, images, labels, weights
            )
        images = self._augment(images)
        size = height_width(images)
        mixed = Prediction.of(look.segmenter(look.segmenter.normalize(images)), size)
        return {"mixed": self.config.weight * mixed.cross_entropy(labels, weights)}


def class_mix(
    source_images: Tensor,
    source_labels: Tensor,
    target_images: Tensor,
    pseudo_labels: Tensor,
    pseudo_weights: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Paste the pixels of half of each source image's classes onto a target image.

    Target image i takes from source image i modulo N. Where the domains differ in size, the pasted window
    is as large as fits both, at a random place in each.

    Args:
        source_images: (N, 3, H, W).
        source_labels: (N, H, W) train ids; ignored pixels are never pasted.
        target_images: (M, 3, H', W').
        pseudo_labels: (M, H', W').
        pseudo_weights: (M, H', W'); pasted pixels get weight 1.

    Returns:
        Mixed images, labels and weights, of the target's shapes.

    Source: Tranheden et al., DACS, WACV 2021, section 3.1: ceil(n/2) of the n classes present, at random.
    """
    images, labels, weights = target_images.clone(), pseudo_labels.clone(), pseudo_weights.clone()
    height = min(source_images.shape[-2], target_images.shape[-2])
    width = min(source_images.shape[-1], target_images.shape[-1])
    # Drawn for all processes that share the batch, as a single one would: it depends on all of its labels.
    partners = whole_batch(source_labels[torch.arange(len(images)) % len(source_images)])
    drawn = [_draw(truth, source_images, target_images, (height, width)) for truth in partners]
    for i, (source, target, chosen) in enumerate(own_part(drawn)):
        j = i % len(source_images)
        truth = source_labels[j][source]
        mask = torch.isin(truth, chosen)
        images[i][:, target[0], target[1]] = torch.where(
            mask, source_images[j][:, source[0], source[1]], images[i][:, target[0], target[1]]
        )
        labels[i][target] = torch.where(mask, truth, labels[i][target])
        weights[i][target] = torch.where(mask, torch.ones_like(weights[i][target]), weights[i][target])
    return images, labels, weights


def _draw(
    truth: Tensor, source_images: Tensor, target_images: Tensor, size: tuple[int, int]
) -> tuple[Window, Window, Tensor]:
    """The window (rows, columns) to cut out of the source, that to paste into, and the classes to paste."""
    source, target = _place(source_images, size), _place(target_images, size)
    present = torch.unique(truth[source][truth[source] != IGNORE])
    chosen = present[torch.randperm(len(present))[: (len(present) + 1) // 2].to(present.device)]
    return source, target, chosen


def _place(images: Tensor, size: tuple[int, int]) -> Window:
    """A window of this (height, width) at a random place."""
    top = int(torch.randint(images.shape[-2] - size[0] + 1, ()).item())
    left = int(torch.randint(images.shape[-1] - size[1] + 1, ()).item())
    return slice(top, top + size[0]), slice(left, left + size[1])
