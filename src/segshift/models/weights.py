"""Initial weights of backbones from files: reading, checking and renaming state dicts."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from segshift.errors import InputError

_NAMED_AT_MOST = 4
# What wrappers put before every name: parallel training, compiling, networks as a part of another, Caffe.
_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "Scale.")


def read_checkpoint(path: Path) -> Any:
    """What a `.safetensors` or PyTorch file holds; no code in it is run.

    Raises:
        InputError: the file is missing or broken, or holds more than tensors, numbers, text and containers.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a .safetensors file or one saved by torch.save")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    # Whatever the bytes of some other file make the unpickler stumble over.
    except Exception:
        raise InputError(
            f"{path}: cannot be read as weights; give a .safetensors file or a state dict saved by torch.save"
        ) from None


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a `.safetensors` or PyTorch file, also under the key `state_dict` or `model`.

    What stands before all of its names is taken off, as `without_prefix` does.

    Raises:
        InputError: the file is missing, broken, or holds something else than named tensors.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; weights are imagenet, none, package or the path of a file")
    return without_prefix(state_in(read_checkpoint(path), str(path)))


def state_in(checkpoint: Any, where: str) -> dict[str, Tensor]:
    """The state dict that a checkpoint is, or holds under the key `state_dict` or `model`.

    Raises:
        InputError: there are no named tensors; `where` is the file, for the message.
    """
    state = checkpoint
    for entry in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(entry), Mapping):
            state = state[entry]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{where}: holds no state dict (names and tensors); save model.state_dict()")
    return {str(key): value for key, value in state.items()}


def without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` without what stands before all its names, such as the `module.` of parallel training."""
    found = next((p for p in _PREFIXES if state and all(key.startswith(p) for key in state)), None)
    if found is None:
        return dict(state)
    return without_prefix({key.removeprefix(found): value for key, value in state.items()})


def load_backbone_state(
    backbone: nn.Module,
    known: Collection[str],
    state: Mapping[str, Tensor],
    where: str,
    new: Collection[str] = (),
) -> None:
    """Load a whole classifier's `state` into the feature extractor made of it, strictly.

    Args:
        backbone: the network as timm's `features_only` makes it, which drops the classifier and may join
            the first two parts of a name by an underscore (`stages.0` becomes `stages_0`).
        known: all names of the whole classifier; those that `backbone` has no use for are left out.
        state: names as in the whole classifier.
        where: the file, for the message.
        new: names in `backbone` that `state` may lack and that then keep their values.

    Raises:
        InputError: names missing or surplus, or tensors of another shape, all in one line.
    """
    own = backbone.state_dict()
    renamed = {_feature_name(key, own): value for key, value in state.items()}
    # Files older than PyTorch 0.4.1 lack the counters; they matter to no running average with a momentum.
    missing = [
        key
        for key in own
        if key not in renamed and key not in new and not key.endswith("num_batches_tracked")
    ]
    surplus = [key for key in state if _feature_name(key, own) not in own and key not in known]
    unequal = [
        f"{key} {tuple(renamed[key].shape)} for {tuple(value.shape)}"
        for key, value in own.items()
        if key in renamed and renamed[key].shape != value.shape
    ]
    problems = described(missing=missing, surplus=surplus, unequal=unequal)
    if problems:
        raise InputError(f"{where}: does not fit the backbone; {problems}; check model.backbone")
    check_values({key: value for key, value in renamed.items() if key in own}, own, where)
    backbone.load_state_dict({key: value for key, value in renamed.items() if key in own}, strict=False)


def check_values(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], where: str) -> None:
    """Refuse tensors that would load, and then give a network of nonsense.

    Args:
        tensors: from a file, by the network's names.
        own: the network's, of which they take the place.
        where: the file, for the message.

    Raises:
        InputError: another kind of numbers (truth values, integers, complex ones), or NaN or infinity.
    """
    for key, value in tensors.items():
        if value.is_floating_point() != own[key].is_floating_point() or value.is_complex():
            kind = str(value.dtype).removeprefix("torch.")
            raise InputError(f"{where}: {key} holds {kind} numbers, no weights; export the network again")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(
                f"{where}: {key} holds NaN or infinity, so the network's answers would be nonsense; its "
                "training diverged or overflowed: take an earlier checkpoint"
            )


def _feature_name(key: str, own: Mapping[str, Tensor]) -> str:
    return key if key in own else key.replace(".", "_", 1)


def described(*, missing: Sequence[str], surplus: Sequence[str], unequal: Sequence[str]) -> str:
    """What is wrong with a state dict, shortened to one line; empty if nothing is."""
    kinds = {"missing": missing, "surplus": surplus, "of another shape": unequal}
    return "; ".join(f"{kind}: {_shortened(keys)}" for kind, keys in kinds.items() if keys)


def _shortened(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _NAMED_AT_MOST} more" if len(keys) > _NAMED_AT_MOST else ""
    return ", ".join(keys[:_NAMED_AT_MOST]) + more
