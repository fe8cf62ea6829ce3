"""Self-training with an averaged teacher on class-mixed images, as in DACS."""

import copy
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torchvision.transforms import v2

from segshift.losses import weighted_cross_entropy
from segshift.methods.term import ACCEPTED_SHARE, Look, Prediction, Term, TermConfig
from segshift.models.segmenter import Segmenter
from segshift.shared_batch import own_part, processes, whole_batch
from segshift.train_ids import IGNORE

Window = tuple[slice, slice]


class MeanTeacherConfig(TermConfig):
    """Configuration of the mean teacher.

    Attributes:
        weight: of the loss on mixed images.
        ema_decay: the teacher's share of itself per step; ramps up as 1 - 1/(k+1) over its first steps.
        confidence: the weight of the pseudo-labelled pixels is the share of the target's pixels whose
            highest probability exceeds this.
        class_mix: paste half of a source image's classes onto the target image; False trains on the plain
            target image.
        color_jitter: strength of brightness, contrast, saturation (and a quarter of it hue) on mixed images.
        blur: largest sigma of the blur, in px; applied to half of the mixed images.
        deploy: which network is evaluated and saved.
    """

    term: Literal["mean_teacher"] = "mean_teacher"
    weight: float = Field(1.0, ge=0)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    confidence: float = Field(0.968, ge=0, le=1)
    class_mix: bool = True
    color_jitter: float = Field(0.25, ge=0, le=1)
    blur: float = Field(1.15, ge=0)
    deploy: Literal["student", "teacher"] = "student"


class MeanTeacher(Term):
    """The teacher labels the target; the student learns from target images with source objects pasted in.

    Logs `accepted_share` in [0, 1], the share of the target's pixels of which the teacher is confident.

    Source: Tranheden et al., DACS, WACV 2021, sections 3.1 and 3.2; class mix from Olsson et al. 2021.
    """

    Config = MeanTeacherConfig
    why_splits_differ = "classes, windows, color jitter and blur are drawn at random"
    uses_target_prediction = False

    def __init__(self, config: MeanTeacherConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.config = config
        self.teacher = copy.deepcopy(segmenter).requires_grad_(False)

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """The student's loss on mixed images, labelled by the source's truth and by the teacher."""
        batch = look.batch
        if batch.step == self.start_step:
            # The student may have trained while the term slept. A function of the step, not a memory.
            self.teacher.load_state_dict(look.segmenter.state_dict())
        pseudo_labels, certainty = self._pseudo_label(batch.target_images)
        look.observe(self, ACCEPTED_SHARE, certainty.mean())
        images, labels, weights = batch.target_images, pseudo_labels, certainty
        if self.config.class_mix:
            images, labels, weights = class_mix(
                batch.source_images, batch.source_labels, images, pseudo_labels, certainty
            )
        images = self._augment(images)
        size = (images.shape[-2], images.shape[-1])
        mixed = Prediction.of(look.segmenter(look.segmenter.normalize(images)), size)
        loss = weighted_cross_entropy(mixed.logits, labels, weights)
        return {"mixed": self.config.weight * loss}

    def after(self, look: Look) -> None:
        """Move the teacher towards the student that has just been updated."""
        age = look.batch.step - self.start_step
        decay = min(1.0 - 1.0 / (age + 1), self.config.ema_decay)
        with torch.no_grad():
            for mine, theirs in zip(self.teacher.parameters(), look.segmenter.parameters(), strict=True):
                mine.lerp_(theirs, 1.0 - decay)

    def deployed(self) -> Segmenter | None:
        """The teacher if it was asked for."""
        return self.teacher if self.config.deploy == "teacher" else None

    def _pseudo_label(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(M, H, W) labels and (M, H, W) weights: one weight per image, the share of confident pixels."""
        size = (images.shape[-2], images.shape[-1])
        with torch.no_grad():
            output = self.teacher(self.teacher.normalize(images))
            confidence, labels = Prediction.of(output, size).probs().max(dim=1)
        share = (confidence > self.config.confidence).float().mean(dim=(1, 2), keepdim=True)
        return labels, share.expand_as(confidence)

    def _augment(self, images: Tensor) -> Tensor:
        strength = self.config.color_jitter
        if strength > 0:
            jitter = v2.ColorJitter(strength, strength, strength, strength / 4)
            # Draws are those for the images of all processes that share the batch; others' are stood in for.
            every = range(processes() * len(images))
            own, stand_in = own_part(every), images[0, :, :1, :1]
            shown = [images[i - own.start] if i in own else stand_in for i in every]
            shown = [jitter(image) if torch.rand(()) < 0.8 else image for image in shown]
            images = torch.stack(own_part(shown))
        if self.config.blur > 0 and torch.rand(()) < 0.5:
            kernel_px = 2 * max(1, round(2 * self.config.blur)) + 1
            images = v2.GaussianBlur(kernel_px, (0.15, max(0.15, self.config.blur)))(images)
        return images


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
