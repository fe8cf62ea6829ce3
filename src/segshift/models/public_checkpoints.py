"""Checkpoints of the papers' public codes (AdaptSegNet, ADVENT, CLAN, FADA) as segmenters of ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from segshift.data.labels import ClassSet
from segshift.errors import InputError
from segshift.files import expanded
from segshift.models.backbones import CAFFE_PIXELS
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_config import SegmenterConfig
from segshift.models.weights import check_values, described, read_checkpoint, state_in, without_prefix

Layout = Literal["adaptsegnet", "advent", "clan", "fada"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
_DILATIONS = (6, 12, 18, 24)
_ADAPTSEGNET_BRANCHES = 2
_COUNTER = "num_batches_tracked"
# Only the deep ResNet has this block in its third stage.
_RESNET101_BLOCK = "layer3.6.conv1.weight"
# FADA's VGG-16 comes from Caffe, with a mean of its own.
_FADA_VGG_PIXELS = replace(CAFFE_PIXELS, mean=(103.939, 116.779, 123.68))
# Positions in the public VGG-16, which is torchvision's without pool4, then fc6, ReLU, fc7, ReLU.
_VGG_POOL4, _VGG_FC6, _VGG_FC7 = 23, 29, 31


@dataclass(frozen=True)
class _Checkpoint:
    """A file's tensors without prefixes; FADA's classifier under `classifier.`.

    Attributes:
        tensors: by the public code's names.
        separate: feature extractor and classifier are two state dicts (FADA).
    """

    tensors: dict[str, Tensor]
    separate: bool

    def has(self, module: str) -> bool:
        return any(key.startswith(module + ".") for key in self.tensors)


def import_checkpoint(
    path: str | Path,
    layout: Layout,
    classes: ClassSet,
    *,
    all_branches: bool = False,
    input_size: tuple[int, int] | None = (1024, 512),
) -> Segmenter:
    """The segmenter in a public code's checkpoint; in evaluation mode it gives the original's logits.

    - `adaptsegnet`: Caffe-shaped ResNet, `layer5` on the third stage (auxiliary head) and `layer6` on the
      fourth, or one classifier on the fourth; or VGG-16. The public code returns inside the loop over the
      four branches, so only dilations 6 and 12 count, in training and in testing.
    - `advent`: the same network with all four branches.
    - `clan`: the same backbone, `layer5` and `layer6` both on the fourth stage; logits are their sum.
    - `fada`: torchvision-shaped ResNet or VGG-16 in two state dicts. A file without batch counters had
      frozen batch norm that divides by sqrt(variance) where ours adds eps to the variance; the stored
      variances make up for it.

    Args:
        path: file with a state dict, as it is or under `state_dict` or `model`; all names may begin with
            `module.` or `Scale.`.
        layout: the code it comes from.
        classes: what the classifier's outputs are.
        all_branches: sum all four branches of an AdaptSegNet file (forks that repaired the loop).
        input_size: (width, height) in px at which the network sees images.

    Raises:
        InputError: an unreadable file, another layout, missing or surplus names, another number of classes.
    """
    path = expanded(path)
    if all_branches and layout != "adaptsegnet":
        raise InputError(f"--all-branches: {layout} sums all branches anyway; leave the option out")
    checkpoint = _read(path)
    _check_classes(checkpoint, classes, path)
    config = _config(checkpoint, layout, all_branches).model_copy(update={"input_size": input_size})
    pixels = _FADA_VGG_PIXELS if layout == "fada" and config.backbone == "vgg16" else None
    segmenter = Segmenter(config, classes, pixel_statistics=pixels)
    problems = _problems(checkpoint, layout, segmenter)
    if problems:
        raise InputError(
            f"{path}: is not of layout {layout}; {problems}; {_remedy(checkpoint, layout, classes)}"
        )
    tensors = checkpoint.tensors
    if config.batch_norm == "frozen":
        tensors = _with_eps(tensors)
    names = _names(segmenter, checkpoint)
    own = {name: tensors[public] for name, public in names.items() if public in tensors}
    check_values(own, segmenter.state_dict(), str(path))
    segmenter.load_state_dict(own, strict=False)
    return segmenter.eval()


def _read(path: Path) -> _Checkpoint:
    content = read_checkpoint(path)
    if isinstance(content, Mapping) and {"feature_extractor", "classifier"} <= content.keys():
        features = without_prefix(state_in(content["feature_extractor"], str(path)))
        classifier = without_prefix(state_in(content["classifier"], str(path)))
    else:
        state = without_prefix(state_in(content, str(path)))
        # Both parts in one flat file, the only form that safetensors can hold.
        features = without_prefix(_below("feature_extractor.", state))
        classifier = without_prefix(_below("classifier.", state))
        if not features or len(features) + len(classifier) < len(state):
            return _Checkpoint(state, separate=False)
    tensors = {key.removeprefix("backbone."): value for key, value in features.items()}
    # The sequence that FADA's VGG-16 is has no name of its own there, and AdaptSegNet's is `features`.
    tensors = {re.sub(r"^(?=\d)", "features.", key): value for key, value in tensors.items()}
    tensors.update({f"classifier.{key}": value for key, value in classifier.items()})
    return _Checkpoint(tensors, separate=True)


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _check_classes(checkpoint: _Checkpoint, classes: ClassSet, path: Path) -> None:
    counts = {value.shape[:1].numel() for key, value in checkpoint.tensors.items() if "conv2d_list.0." in key}
    if len(counts) == 1 and counts != {classes.count}:
        found = counts.pop()
        raise InputError(
            f"{path}: its classifiers have {found} classes, {classes.name} has {classes.count}; "
            f"give --classes {found} or the name of a set of {found} classes"
        )


def _config(checkpoint: _Checkpoint, layout: Layout, all_branches: bool) -> SegmenterConfig:
    """The network that a checkpoint of this layout belongs to."""
    vgg = checkpoint.has("features")
    depth = "resnet101" if _RESNET101_BLOCK in checkpoint.tensors else "resnet50"
    # FADA's frozen batch norm has no counters; PyTorch 0.4.0's ordinary one has none either, in other codes.
    counted = any(key.endswith(_COUNTER) for key in checkpoint.tensors)
    ordinary = layout != "fada" or counted or vgg
    multi_level = checkpoint.has("layer5") and checkpoint.has("layer6")
    two_branches = layout == "adaptsegnet" and not all_branches
    return SegmenterConfig(
        backbone="vgg16" if vgg else depth if layout == "fada" else f"caffe_{depth}",
        weights="none",
        pixels="caffe_bgr" if vgg else "published",
        classifiers=2 if layout == "clan" else 1,
        auxiliary_head=layout in ("adaptsegnet", "advent") and multi_level,
        # As the public codes train: batch statistics, and trained scales only where nothing freezes them.
        batch_norm="batch" if ordinary else "frozen",
        batch_norm_affine="trained" if layout == "fada" and ordinary else "frozen",
        head_dilations=_DILATIONS[:_ADAPTSEGNET_BRANCHES] if two_branches else _DILATIONS,
    )


def _names(segmenter: Segmenter, checkpoint: _Checkpoint) -> dict[str, str]:
    """The checkpoint's name for each of the segmenter's tensors, if it is of the segmenter's layout."""
    config = segmenter.config
    if not config.backbone.startswith("caffe_"):
        # Other layouts' further classifiers are looked for under their own names, and missed there.
        classifiers = {"head": "classifier", "second_head": "layer6", "auxiliary_head": "layer5"}
    elif config.classifiers == 2:
        classifiers = {"head": "layer5", "second_head": "layer6"}
    elif checkpoint.has("layer6"):
        classifiers = {"head": "layer6", "auxiliary_head": "layer5"}
    else:
        classifiers = {"head": "layer5"}
    names = {}
    for own in segmenter.state_dict():
        part, _, rest = own.partition(".")
        if part == "backbone":
            names[own] = _vgg_name(rest) if config.backbone == "vgg16" else rest
        else:
            names[own] = f"{classifiers[part]}.{rest.replace('branches', 'conv2d_list')}"
    return names


def _vgg_name(own: str) -> str:
    module, _, parameter = own.rpartition(".")
    if module in ("fc6", "fc7"):
        return f"features.{_VGG_FC6 if module == 'fc6' else _VGG_FC7}.{parameter}"
    position = int(module.removeprefix("features."))
    return f"features.{position - (position > _VGG_POOL4)}.{parameter}"


def _problems(checkpoint: _Checkpoint, layout: Layout, segmenter: Segmenter) -> str:
    """What keeps a checkpoint from filling this layout's segmenter, in one line; empty if nothing does."""
    if checkpoint.separate != (layout == "fada"):
        return (
            "it holds feature_extractor and classifier apart"
            if checkpoint.separate
            else "it does not hold feature_extractor and classifier apart"
        )
    tensors = segmenter.state_dict()
    wanted = {
        public: tensors[own].shape
        for own, public in _names(segmenter, checkpoint).items()
        if not own.endswith(_COUNTER)
    }
    given = {key: value.shape for key, value in checkpoint.tensors.items() if not key.endswith(_COUNTER)}
    unused = (
        ()
        if len(segmenter.config.head_dilations) == len(_DILATIONS)
        else ("conv2d_list.2.", "conv2d_list.3.")
    )
    return described(
        missing=[key for key in wanted if key not in given],
        surplus=[key for key in given if key not in wanted and not any(part in key for part in unused)],
        unequal=[
            f"{key} {tuple(given[key])} for {tuple(shape)}"
            for key, shape in wanted.items()
            if key in given and given[key] != shape
        ],
    )


def _remedy(checkpoint: _Checkpoint, layout: Layout, classes: ClassSet) -> str:
    fitting = []
    for other in LAYOUTS:
        with torch.device("meta"):  # names and shapes only
            segmenter = Segmenter(_config(checkpoint, other, all_branches=False), classes)
        if not _problems(checkpoint, other, segmenter):
            fitting.append(other)
    if layout in fitting:
        return "it fits without --all-branches"
    if fitting:
        return f"it fits --layout {' or --layout '.join(fitting)}"
    return f"no other layout fits either ({', '.join(LAYOUTS)}): is it a whole DeepLab-v2 of that code?"


def _with_eps(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Averages and scales for batch norm that adds eps to the variance, from those for one that does not.

    eps is subtracted from the variance. Where the variance is below eps that would cancel its digits, so
    there the scale takes the factor sqrt((variance + eps) / variance) instead.
    """
    eps = torch.nn.BatchNorm2d(1).eps
    converted = dict(tensors)
    for key, value in tensors.items():
        if key.endswith("running_var"):
            scale = key.replace("running_var", "weight")
            variance = value.double()
            small = variance < eps
            factor = torch.where(small, ((variance + eps) / variance).sqrt(), 1.0)
            converted[key] = torch.where(small, variance, variance - eps).to(value.dtype)
            converted[scale] = (tensors[scale].double() * factor).to(value.dtype)
    return converted
