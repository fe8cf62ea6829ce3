"""What terms with an averaged teacher share: the teacher, its labels, and the student's augmentation."""

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torchvision.transforms import v2

from segshift.methods.term import ACCEPTED_SHARE, Look, Prediction, Term, TermConfig
from segshift.models.dropout import dropping_nothing
from segshift.models.multi_resolution import seeing_all_details
from segshift.models.segmenter import Segmenter
from segshift.shared_batch import mean_over_processes, own_part, processes
from segshift.sizes import height_width


class AveragedTeacherConfig(TermConfig):
    """Configuration of a term with an averaged teacher.

    Attributes:
        weight: of the loss on the target.
        ema_decay: the teacher's share of itself per step; ramps up as 1 - 1/(k+1) over its first steps.
        flip_average: the teacher's probabilities are the mean of those of the image and of its mirror image,
            which costs it a second forward pass.
        color_jitter: strength of brightness, contrast, saturation (and a quarter of it hue) on the student's
            images.
        blur: largest sigma of the blur, in px; applied to half of the student's batches.
        deploy: which network is evaluated and saved.
    """

    weight: float = Field(1.0, ge=0)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    flip_average: bool = False
    color_jitter: float = Field(0.25, ge=0, le=1)
    blur: float = Field(1.15, ge=0)
    deploy: Literal["student", "teacher"] = "student"


class AveragedTeacher(Term):
    """A term whose labels for the target come from an exponential moving average of the network in training.

    Its dropout is off, its batch norm is in the student's mode, and a network that sees details (HRDA) sees
    all of them. Pixels outside of `Batch.target_valid` have labels of weight 0; what the others weigh, a
    subclass says.

    Logs `accepted_share` in [0, 1], the mean of the weights.

    Source: Tarvainen & Valpola, Mean teachers are better role models, NeurIPS 2017; pseudo labels from
    Tranheden et al., DACS, WACV 2021, section 3.2.
    """

    uses_target_prediction = False
    needs_source = False
    teacher: Segmenter

    def __init__(self, config: AveragedTeacherConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.config = config
        self.teacher = copy.deepcopy(segmenter).requires_grad_(False)

    def pseudo_labels(self, look: Look) -> tuple[Tensor, Tensor]:
        """The teacher's labels of the target and their weights, both (M, H, W), made once for all terms."""
        if self.name not in look.pseudo_labels:
            batch = look.batch
            if batch.step == self.start_step:
                # The student may have trained while the term slept. A function of the step, not a memory.
                self.teacher.load_state_dict(look.segmenter.state_dict())
            labels, weights = self._pseudo_label(batch.target_images)
            look.observe(self, ACCEPTED_SHARE, weights.mean())
            if batch.target_valid is not None:
                weights = weights * batch.target_valid
            look.pseudo_labels[self.name] = labels, weights
        return look.pseudo_labels[self.name]

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

    def _weights(self, confidence: Tensor, labels: Tensor) -> Tensor:
        """(M, H, W) weights of the teacher's labels.

        Args:
            confidence: (M, H, W), the teacher's highest probabilities.
            labels: (M, H, W), the classes that have them.
        """
        raise TypeError(f"{type(self).__name__} must define _weights()")

    def _pseudo_label(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(M, H, W) labels and (M, H, W) weights."""
        with torch.no_grad(), dropping_nothing(self.teacher), seeing_all_details(self.teacher):
            probs = self._probs(images)
            if self.config.flip_average:
                probs = (probs + self._probs(images.flip(-1)).flip(-1)) / 2
            confidence, labels = probs.max(dim=1)
            return labels, self._weights(confidence, labels)

    def _probs(self, images: Tensor) -> Tensor:
        size = height_width(images)
        return Prediction.of(self.teacher(self.teacher.normalize(images)), size).probs()

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


class ConfidentTeacherConfig(AveragedTeacherConfig):
    """Configuration of a term whose teacher's labels weigh as much as it is confident.

    Attributes:
        confidence: the weight of the pseudo-labelled pixels is the share of the target's pixels whose
            highest probability exceeds this.
        share_of: whether that share is each image's own or the whole batch's (DAFormer's code).
    """

    confidence: float = Field(0.968, ge=0, le=1)
    share_of: Literal["image", "batch"] = "image"


class ConfidentTeacher(AveragedTeacher):
    """An averaged teacher whose labels all have one weight: the share of the pixels of which it is confident.

    Source: Tranheden et al., DACS, WACV 2021, section 3.2.
    """

    config: ConfidentTeacherConfig

    def _weights(self, confidence: Tensor, labels: Tensor) -> Tensor:
        confident = (confidence > self.config.confidence).float()
        if self.config.share_of == "batch":
            return mean_over_processes(confident.mean()).expand_as(confidence)
        return confident.mean(dim=(1, 2), keepdim=True).expand_as(confidence)


def teachers(terms: Sequence[Term]) -> list[AveragedTeacher]:
    """Those of the terms that have an averaged teacher."""
    return [term for term in terms if isinstance(term, AveragedTeacher)]
