"""Every label-free score of a network on a data set, image by image in constant memory."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segshift.data.augmentation import Augmentation, ColorJitter
from segshift.data.sampling import evenly
from segshift.errors import InputError
from segshift.evaluation.confusion import confusion_matrix, miou
from segshift.evaluation.unsupervised import ProbabilitySums, soft_neighborhood_density
from segshift.label_free_scores import LARGEST_CLASS_SHARE
from segshift.models.batch_norm import evaluating
from segshift.models.inference_config import Inference
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_output import SegmenterOutput

# Strong enough to show a network that hangs on colors, weak enough to keep every class what it is.
_JITTER = Augmentation(color_jitter=ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1))


class UnlabelledItem(Protocol):
    """An image, (3, H, W) uint8."""

    @property
    def image(self) -> Tensor: ...


class UnlabelledItems(Protocol):
    """What `score_unlabelled` needs of a data set; `segshift.data.SegmentationDataset` has it."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: int, /) -> UnlabelledItem: ...


def score_unlabelled(
    segmenter: Segmenter,
    dataset: UnlabelledItems,
    *,
    inference: Inference | None = None,
    limit: int | None = None,
    snd_pixels: int = 100,
) -> dict[str, float]:
    """The label-free scores of a network on unlabelled images; no label is read.

    All are taken at the resolution of the network's output, before it is up-sampled. Soft neighborhood
    density compares `snd_pixels` random pixels of one image and is averaged over images (all pixels with all
    would not fit into memory); the other scores of probabilities count all pixels. The agreements are mIoUs
    of the predictions on the images mirrored, and with changed colors (brightness, contrast and saturation by
    up to 40 %, hue by up to 0.1 turns), against those on the images as they are. What is random depends on
    the image's place alone, so that scores of two networks can be compared, and the global random state is
    left alone.

    Args:
        segmenter: used in evaluation mode; its mode is as before afterwards.
        dataset: images.
        inference: at which size the network sees images, whole and unmirrored; None: at its own.
        limit: at most so many images, evenly spread; None takes all.
        snd_pixels: at most so many pixels per image for soft neighborhood density.

    Returns:
        Every name of `SCORES` but source_validation, and `largest_class_share`.

    Raises:
        InputError: no image, or one that cannot be read.
    """
    if len(dataset) == 0:
        raise InputError("label-free scores: the data set has no images; check its split")
    classes = len(segmenter.class_names)
    sums = ProbabilitySums(classes)
    mirrored, jittered = (np.zeros((classes, classes), np.int64) for _ in range(2))
    densities = []
    with evaluating(segmenter), torch.inference_mode():
        for index in evenly(len(dataset), limit):
            logits = _logits(segmenter, dataset[index].image, index, inference or Inference())
            pixels = logits[0].softmax(dim=0).flatten(1).T
            sums.add(pixels)
            chosen = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(index))[:snd_pixels]
            if len(chosen) > 1:
                densities.append(soft_neighborhood_density(pixels.cpu()[chosen]))
            ids = logits.argmax(dim=1)
            mirrored += _counts(ids[1].flip(-1), ids[0], classes)
            jittered += _counts(ids[2], ids[0], classes)
    return {
        "entropy": sums.entropy(),
        "information_maximization": sums.information_maximization(),
        "snd": float(np.mean(densities)) if densities else float("nan"),
        "bnm": sums.bnm(),
        "confidence": sums.confidence(),
        "mirror_agreement": miou(mirrored),
        "jitter_agreement": miou(jittered),
        LARGEST_CLASS_SHARE: sums.largest_class_share(),
    }


def _logits(segmenter: Segmenter, image: Tensor, index: int, inference: Inference) -> Tensor:
    """(3, C, h, w) float32: of the image, of its mirror image, and with changed colors."""
    jittered, _ = _JITTER(image, None, index)
    images = inference.seen(segmenter, torch.stack([image, image.flip(-1), jittered]))
    output: SegmenterOutput = segmenter(images)
    return output.logits.float()


def _counts(prediction: Tensor, reference: Tensor, classes: int) -> NDArray[np.int64]:
    return confusion_matrix(prediction, reference, classes).cpu().numpy()
