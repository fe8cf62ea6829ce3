"""SegFormer's encoders, the Mix Transformers MiT-B0 to -B5, as transformers has them."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from segshift.errors import InputError
from segshift.models.resize import enlarge_small

# Channels and blocks of the four stages; Xie et al., NeurIPS 2021, table 6.
_SMALL, _LARGE = (32, 64, 160, 256), (64, 128, 320, 512)
MIT = {
    "mit_b0": (_SMALL, (2, 2, 2, 2)),
    "mit_b1": (_LARGE, (2, 2, 2, 2)),
    "mit_b2": (_LARGE, (3, 4, 6, 3)),
    "mit_b3": (_LARGE, (3, 4, 18, 3)),
    "mit_b4": (_LARGE, (3, 8, 27, 3)),
    "mit_b5": (_LARGE, (3, 6, 40, 3)),
}
MIT_STRIDES = (4, 8, 16, 32)
MIT_CLASSIFIER = ("classifier.weight", "classifier.bias")
"""What the ImageNet classifier has besides; its other names are those of `MixTransformer`."""


class MixTransformer(nn.Module):
    """A hierarchical transformer without position embeddings, so that it takes images of any size.

    Args:
        name: one of `MIT`.
        levels: how many of the four stages' features it gives, the last ones.
        pretrained: a folder made by `save_pretrained`, or a name on the model hub; None for random weights.

    Raises:
        InputError: transformers is not installed.

    Source: Xie et al., SegFormer, NeurIPS 2021, section 3.1; drop path 0.1 as there.
    """

    def __init__(self, name: str, levels: int = 4, pretrained: str | Path | None = None) -> None:
        super().__init__()
        try:
            from transformers import SegformerConfig, SegformerModel
        except ImportError:
            raise InputError(
                f"backbone = {name}: needs transformers, which is not installed; run "
                "`pip install segshift[transformers]` or use another backbone"
            ) from None
        hidden_sizes, depths = MIT[name]
        config = SegformerConfig(hidden_sizes=list(hidden_sizes), depths=list(depths))
        loaded: Any = SegformerModel  # transformers' own types know neither call
        self.levels = levels
        self.segformer: Any = loaded(config) if pretrained is None else loaded.from_pretrained(pretrained)
        enlarge_small(self, MIT_STRIDES[-1])

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to features at strides 4, 8, 16 and 32, or the last of them."""
        return list(self.segformer(images, output_hidden_states=True).hidden_states)[-self.levels :]
