"""A memory of generated images, from which a discriminator is shown older ones."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from segshift.errors import InputError
from segshift.models.translators import to_signed, to_unit


class ImageHistory(nn.Module):
    """Up to `capacity` generated images; each new one is shown, or stored in place of an old one that is.

    Everything lies in buffers, so that a run continues bit by bit. Images are kept in 8 bits, as real ones
    come. Buffers are made when the first images come, whose size is that of all later ones.

    Args:
        capacity: number of images; 0 shows every image itself.

    Source: Shrivastava et al., Learning from simulated and unsupervised images, CVPR 2017, section 2.3;
    capacity 50 in CycleGAN, section 4.
    """

    images: Tensor
    filled: Tensor

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.register_buffer("images", torch.zeros(0, dtype=torch.uint8))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def exchange(self, images: Tensor) -> Tensor:
        """Put images in and take as many out.

        Args:
            images: (N, 3, H, W) in [-1, 1], without a graph.

        Returns:
            (N, 3, H, W): each either the image itself or an older one, which it replaces in the memory.

        Raises:
            InputError: images of another size than before.
        """
        if self.capacity == 0:
            return images
        if self.images.ndim < 4:
            self.images = images.new_zeros((self.capacity, *images.shape[1:]), dtype=torch.uint8)
        if self.images.shape[1:] != images.shape[1:]:
            height, width = self.images.shape[2:]
            raise InputError(
                f"the history of generated images holds {width}x{height}, and {images.shape[-1]}x"
                f"{images.shape[-2]} came: set `crop` in both augmentations, or method.history: 0"
            )
        shown = [self._exchanged(image) for image in images]
        return torch.stack(shown)

    def _exchanged(self, image: Tensor) -> Tensor:
        stored = (to_unit(image.float()).clamp(0, 1) * 255).round().to(torch.uint8)
        filled = int(self.filled)
        if filled < self.capacity:
            self.images[filled] = stored
            self.filled += 1
            return image
        # The draws come from the CPU's generator on every device.
        if torch.rand(()) < 0.5:
            return image
        place = int(torch.randint(self.capacity, ()))
        old = to_signed(self.images[place].to(image.dtype) / 255)
        self.images[place] = stored
        return old

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:
        """Take the memory's size from the checkpoint: a new history does not know it yet."""
        saved = state_dict.get(f"{prefix}images")
        if isinstance(saved, Tensor):
            self.images = torch.empty_like(saved, device=self.images.device)
        super()._load_from_state_dict(state_dict, prefix, *arguments)
