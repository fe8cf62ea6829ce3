"""Pictures of a method's progress, written beside its metrics."""

from pathlib import Path

import torch
from PIL import Image

from segshift.files import atomic_path
from segshift.methods import Batch, Method
from segshift.pictures import strip

_COLUMNS = 4


def write_pictures(method: Method, batch: Batch, folder: Path, step: int) -> None:
    """One PNG with the images that the method shows of `batch`: a row per name, a column per image.

    Nothing of it reaches training: no gradient, no random number, no batch-norm average.
    """
    training = method.training
    method.eval()
    devices = [batch.source_images.device] if batch.source_images.is_cuda else []
    with torch.no_grad(), torch.random.fork_rng(devices):
        named = method.pictures(batch)
    method.train(training)
    if not named:
        return
    rows = []
    for name, images in named.items():
        pixels = (images[:_COLUMNS].float().clamp(0, 1) * 255).round().to("cpu", torch.uint8)
        rows.append([(name, image.permute(1, 2, 0).contiguous().numpy()) for image in pixels])
    picture: Image.Image = strip(rows)
    with atomic_path(folder / f"step_{step:06d}.png") as temporary:
        picture.save(temporary)
