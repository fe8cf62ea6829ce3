"""What batch norm does while training, and adapting it to another domain (AdaBN)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from segshift.errors import InputError
from segshift.models.segmenter_config import BatchNormMode
from segshift.models.shared_batch_norm import SharedBatchNorm, check_several_values, unbiased_statistics
from segshift.shared_batch import processes

if TYPE_CHECKING:
    from segshift.models.segmenter import Segmenter

# Name of the attribute that tells a batch norm's hooks what to do. An attribute and hooks that are plain
# functions survive `copy.deepcopy`: the copy's hooks get the copy and read the copy's attribute.
_MODE = "segshift_batch_norm_mode"
_PAUSED = "segshift_batch_norm_paused"
_SHARED = "segshift_batch_norm_shared"


def batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """All batch norms in `module`, in the order of its modules; timm's fused ones count."""
    return [child for child in module.modules() if isinstance(child, _BatchNorm)]


def set_batch_norm_mode(module: nn.Module, mode: BatchNormMode, *, affine_trained: bool = True) -> None:
    """Decide what the batch norms in `module` do in training mode. In evaluation mode all use the averages.

    - `batch`: normalise with the batch's own statistics; the running averages move. (PyTorch's way.)
    - `running`: the running averages normalise as they are, then they move: the images at hand have no part
      in their own normalisation ("current batch statistics are not used", Cicek et al., section 4.1).
    - `frozen`: the running averages normalise and stay as they are.

    Args:
        module: network whose batch norms are set; may be called again to change the mode.
        mode: see above.
        affine_trained: whether scales and offsets are trained.
    """
    for norm in batch_norms(module):
        if not hasattr(norm, _MODE):
            norm.register_forward_pre_hook(_before)
            norm.register_forward_hook(_after, always_call=True)
        setattr(norm, _MODE, mode)
        setattr(norm, _PAUSED, False)
        for parameter in norm.parameters(recurse=False):
            parameter.requires_grad_(affine_trained)


def _before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
    if not module.training:
        return
    if getattr(module, _MODE) != "batch":
        # Normalises with the averages; `_after` puts the module back.
        module.training = False
        setattr(module, _PAUSED, True)
    elif processes() > 1:
        # Inside the module alone, whatever kind of batch norm it is, until `_after`.
        shared = SharedBatchNorm()
        shared.__enter__()  # type: ignore[no-untyped-call]
        setattr(module, _SHARED, shared)
    else:
        check_several_values(inputs[0])


def _after(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
    shared = module.__dict__.pop(_SHARED, None)
    if shared is not None:
        shared.__exit__(None, None, None)
    if getattr(module, _PAUSED):
        module.training = True
        setattr(module, _PAUSED, False)
        # A pass that failed has no output, and no statistics to remember.
        if isinstance(module, _BatchNorm) and getattr(module, _MODE) == "running" and output is not None:
            _update_averages(module, inputs[0])


@torch.no_grad()
def _update_averages(norm: _BatchNorm, x: Tensor) -> None:
    """PyTorch's update of the running averages: momentum (None: cumulative) and the unbiased variance."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        raise InputError("batch_norm = running: this network keeps no averages; set batch_norm: batch")
    mean, variance = unbiased_statistics(x.to(norm.running_mean.dtype))
    count = norm.num_batches_tracked + 1
    share = 1.0 / float(count) if norm.momentum is None else norm.momentum
    # New tensors instead of new values: the graph, which still waits for its backward pass, holds the
    # averages that it was normalised with.
    norm.running_mean = norm.running_mean.lerp(mean, share)
    norm.running_var = norm.running_var.lerp(variance, share)
    norm.num_batches_tracked = count


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards every submodule is in the mode it was in."""
    modes = [(child, child.training) for child in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for child, training in modes:
            child.training = training


def adapt_batch_norm(segmenter: "Segmenter", batches: Iterable[Tensor]) -> None:
    """Replace the running averages of all batch norms by those of other images (AdaBN).

    The new averages are the means over the batches of each batch's mean and unbiased variance, while each
    layer normalises with the batch's own statistics. Nothing else changes: no parameter, no mode. Batches
    in the same order give the same averages.

    Args:
        segmenter: changed in place.
        batches: (N, 3, H, W) images in [0, 1], RGB.

    Raises:
        InputError: no batch, or a network without batch norm.

    Source: Li et al., Revisiting batch normalization for practical domain adaptation, 2016.
    """
    norms = [norm for norm in batch_norms(segmenter) if norm.track_running_stats]
    if not norms:
        raise InputError("AdaBN: this network has no batch norm with running averages; use another backbone")
    device = next(segmenter.parameters()).device
    settings = [(norm, norm.momentum, getattr(norm, _MODE, "batch")) for norm in norms]
    backup = [{name: value.clone() for name, value in norm.named_buffers()} for norm in norms]
    finished = False
    with evaluating(segmenter), torch.no_grad():
        try:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None
                setattr(norm, _MODE, "batch")
                norm.training = True
            for images in batches:
                segmenter(segmenter.normalize(images.to(device)))
                finished = True
        except BaseException:
            finished = False
            raise
        finally:
            for (norm, momentum, mode), buffers in zip(settings, backup, strict=True):
                norm.momentum = momentum
                setattr(norm, _MODE, mode)
                if not finished:
                    norm.load_state_dict(buffers, strict=False)
    if not finished:
        raise InputError("AdaBN: there are no target images to take the statistics from; check the split")
