"""What a patch of a label map looks like: its classes' shares, cell by cell (AdaptPatch)."""

import torch
from torch import Tensor

PatchPx = int | tuple[int, int]
"""One number for both sides, or (height, width), the order of tensor shapes."""


def label_histograms(
    labels: Tensor, patch_px: PatchPx, classes: int, grid: int = 2, stride_px: PatchPx | None = None
) -> Tensor:
    r"""Spatial label histograms of patches.

    Long for what it refuses; the histogram itself is one expression after the other.

    Each patch is cut into grid x grid equal cells; entry :math:`(i \cdot grid + j) \cdot C + c` is class c's
    share of the labelled pixels of the cell in row i and column j. Patches begin in the top left corner,
    `stride_px` apart; a rest at the right or the bottom in which no whole patch fits is left out.

    Args:
        labels: (N, H, W) train ids, any integer type. Ids outside 0..C-1 (255 = ignore) are left out.
        patch_px: size of a patch: one number, or (height, width); divisible by `grid`.
        classes: C.
        grid: cells along each side.
        stride_px: distance of neighbouring patches: one number, or (height, width); None takes `patch_px`,
            so that patches touch. Memory grows with the overlap.

    Returns:
        (N, U, V, grid * grid * C) float32, U = (H - patch height) // stride + 1 and V likewise. Each cell's C
        entries add up to 1, or are all 0 where every pixel of the cell is ignored.

    Raises:
        ValueError: labels that are not (N, H, W) integers, a number below 1, a patch that `grid` does not
            divide, or one that is larger than the label map.

    Source: Tsai et al., Domain adaptation for structured output via discriminative patch representations,
    ICCV 2019, section 3.2 ("patch mode discovery").

    Example:
        >>> import torch
        >>> labels = torch.tensor([[0, 0, 1, 1]] * 4)[None]  # left half class 0, right half class 1
        >>> label_histograms(labels, patch_px=4, classes=2).flatten()  # two bins per cell of 2 x 2
        tensor([1., 0., 0., 1., 1., 0., 0., 1.])
    """
    if labels.ndim != 3 or labels.dtype.is_floating_point:
        shape = tuple(labels.shape)
        raise ValueError(f"label_histograms: needs integer labels (N, H, W), not {labels.dtype} {shape}")
    patch = _both_sides(patch_px)
    stride = patch if stride_px is None else _both_sides(stride_px)
    if min(*patch, *stride, classes, grid) < 1:
        raise ValueError(f"label_histograms: patch {patch}, stride {stride}, {classes} classes, grid {grid}: "
                         "none may be below 1")  # fmt: skip
    if patch[0] % grid or patch[1] % grid:
        raise ValueError(f"label_histograms: a patch of {patch} px cannot be cut into {grid} equal parts")
    if patch[0] > labels.shape[1] or patch[1] > labels.shape[2]:
        raise ValueError(
            f"label_histograms: a patch of {patch} px does not fit into labels of {tuple(labels.shape[1:])}"
        )
    labels = labels.long()
    # Ignored pixels go into a bin of their own, which is cut off in the end: no data-dependent shapes.
    labels = torch.where((labels >= 0) & (labels < classes), labels, classes)
    patches = labels.unfold(1, patch[0], stride[0]).unfold(2, patch[1], stride[1])
    images, rows, columns = patches.shape[:3]
    cells = images * rows * columns * grid * grid
    row, column = (
        torch.arange(side, device=labels.device).div(side // grid, rounding_mode="floor") for side in patch
    )
    place = torch.arange(images * rows * columns, device=labels.device).view(images, rows, columns, 1, 1)
    cell = place * grid**2 + row.view(-1, 1) * grid + column
    counts = torch.bincount((cell * (classes + 1) + patches).flatten(), minlength=cells * (classes + 1))
    shares = counts.view(images, rows, columns, grid * grid, classes + 1)[..., :classes].float()
    shares = shares / shares.sum(dim=-1, keepdim=True).clamp_min(1)
    return shares.flatten(start_dim=3)


def _both_sides(pixels: PatchPx) -> tuple[int, int]:
    return (pixels, pixels) if isinstance(pixels, int) else (pixels[0], pixels[1])
