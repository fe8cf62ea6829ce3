"""What a method is: networks, and a training step written as a generator of updates."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from segshift.config import Strict
from segshift.folders import MODEL_FILE
from segshift.models.resize import upsample
from segshift.models.segmenter import Segmenter
from segshift.sizes import height_width


@dataclass(frozen=True)
class LabelledImages:
    """Labelled images beside the source's: pseudo labels, or the few target labels that a user has.

    Attributes:
        name: the recipe's key: "pseudo_labelled" or "target_labelled".
        images: (L, 3, H, W) float in [0, 1], RGB.
        labels: (L, H, W) int64 train ids, 255 = ignore.
    """

    name: str
    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Batch:
    """What a training step sees. There is no field for the target's labels, so training cannot use them.

    Attributes:
        source_images: (N, 3, H, W) float in [0, 1], RGB; N = 0 in a run without source images.
        source_labels: (N, H, W) int64 train ids, 255 = ignore.
        target_images: (M, 3, H', W') float in [0, 1], RGB; M = 0 when the method never looks at the target.
        step: number of the optimizer step, from 0.
        progress: step / number of steps, in [0, 1).
        last_micro_batch: False for all but the last micro-batch of a step; what must happen once per step
            (an exponential moving average, say) asks for it.
        labelled: further labelled images, one entry per stream that the recipe names.
        target_valid: (M, H', W') bool, False where pseudo labels of the target shall not count
            (`target.ignored_border`); None where all may.
    """

    source_images: Tensor
    source_labels: Tensor
    target_images: Tensor
    step: int
    progress: float
    last_micro_batch: bool = True
    labelled: tuple[LabelledImages, ...] = ()
    target_valid: Tensor | None = None

    def part(self, index: int, count: int) -> "Batch":
        """One of `count` equal parts of the batch, as a micro-batch or a process sees it."""

        def cut(tensor: Tensor) -> Tensor:
            return tensor[index * len(tensor) // count : (index + 1) * len(tensor) // count]

        return replace(
            self,
            source_images=cut(self.source_images),
            source_labels=cut(self.source_labels),
            target_images=cut(self.target_images),
            last_micro_batch=index == count - 1,
            labelled=tuple(
                LabelledImages(one.name, cut(one.images), cut(one.labels)) for one in self.labelled
            ),
            target_valid=None if self.target_valid is None else cut(self.target_valid),
        )


@dataclass(frozen=True)
class Update:
    """One turn of some networks: their losses, and whether their optimizers step now.

    Attributes:
        nets: names of parameter groups, keys of `Method.networks()`.
        losses: named scalars, already weighted; their sum is minimised, and only the parameters of `nets`
            receive gradients. Logged as "nets/name".
        step: False accumulates the gradients (and frees that graph) for a later update of the same nets.
        observed: named scalars that are logged as "nets/name" and are nothing to minimise, such as the share
            of the pixels that got a pseudo label.
    """

    nets: str | tuple[str, ...]
    losses: dict[str, Tensor]
    step: bool = True
    observed: dict[str, Tensor] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The networks as a tuple, also when there is one."""
        return (self.nets,) if isinstance(self.nets, str) else self.nets


class PreparationData(Protocol):
    """What `Method.prepare` may look at before training: never a target label."""

    def target_images(self, batch_size: int, limit: int | None) -> Iterator[Tensor]:
        """Batches (N, 3, H, W) in [0, 1] of the target's training images, not augmented, in order."""

    def source_labels(self, batch_size: int, limit: int | None) -> Iterator[Tensor]:
        """Batches (N, H, W) int64 of the source's train ids at the training size, not augmented.

        With a limit, the maps are spread evenly over the data set.
        """

    def source_fingerprint(self) -> str:
        """A hash of the files and settings that `source_labels` depends on, for caches."""


class Method(nn.Module):
    """A training method. All that it remembers is a parameter, a buffer or a function of the step.

    A subclass defines `Config`, `networks`, `step` and `deployed`; the engine does the rest.
    """

    Config: ClassVar[type[Strict]] = Strict
    uses_target: bool = True
    """False promises that `step` never reads the target images; the engine then loads none."""
    needs_source: bool = True
    """False promises that the method also works without source images (`Batch.source_images` is empty)."""
    why_splits_differ: str = ""
    """Why two micro-batches cannot equal one batch, if they cannot: a random crop, say."""

    @classmethod
    def needs_segmenter(cls, config: Any) -> bool:
        """Whether a method of this configuration is built around a segmenter; a translator is not."""
        return True

    def networks(self) -> dict[str, list[nn.Parameter]]:
        """Disjoint, named lists of trainable parameters; each gets its own optimizer.

        A `roles.Network` also says what the parameters are for; a plain list is a learner.
        """
        raise TypeError(f"{type(self).__name__} must define networks()")

    def prepare(self, data: PreparationData) -> None:
        """Called once, before the first step; a resumed run does not call it again."""

    def step(self, batch: Batch) -> Iterator[Update]:
        """Yield the updates of one step in order. Code after a `yield` runs after that update."""
        raise TypeError(f"{type(self).__name__} must define step()")

    def predict(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images in [0, 1] to (N, C, H, W) logits of the deployed network.

        Raises:
            TypeError: nothing is deployed.
        """
        segmenter = self.deployed()
        if segmenter is None:
            raise TypeError(f"{type(self).__name__} deploys no segmenter that could predict")
        return upsample(segmenter(segmenter.normalize(images)).logits, height_width(images))

    def deployed(self) -> Segmenter | None:
        """The network that is evaluated, saved and used after training; None for a method without one."""
        raise TypeError(f"{type(self).__name__} must define deployed()")

    def save(self, folder: Path) -> None:
        """Write what the run is for into its folder: the deployed segmenter."""
        segmenter = self.deployed()
        if segmenter is not None:
            segmenter.save(folder / MODEL_FILE)

    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        """What a log should show of a batch: named images (N, 3, H, W) in [0, 1]; none by default.

        Called without gradients, in evaluation mode, and with a random state of its own.
        """
        return {}
