"""HRDA's two looks at an image: places, fusion by a loop over pixels, inference by windows written out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segshift.errors import InputError
from segshift.models import Inference, Segmenter, SegmenterConfig, load
from segshift.models.multi_resolution import DetailWindows, seeing_all_details
from segshift.models.resize import resize_images
from segshift.models.segmenter_output import SegmenterOutput, Window
from segshift.sizes import HeightWidth

from .networks import CLASSES, tiny

DETAIL = {"detail": (32, 16)}
Array = np.ndarray[Any, np.dtype[np.float64]]


def hrda(**settings: Any) -> Segmenter:
    """`segshift_tiny`, stride 8: the context's cells are 16 px of the image, details 1 x 2 of them."""
    multi_resolution = {**DETAIL, **settings.pop("multi_resolution", {})}
    segmenter = tiny(multi_resolution=multi_resolution, **settings)
    attention = segmenter.multi_resolution.attention
    for parameter in attention.parameters():  # else the attention is a half everywhere
        nn.init.normal_(parameter, 0, 0.3, generator=torch.Generator().manual_seed(5))
    return segmenter


def enlarged(x: Array, size: tuple[int, int]) -> Array:
    """`upsample` by a loop over the result's cells: corners stay corners."""
    (height, width), result = x.shape, np.zeros(size)
    for i in range(size[0]):
        for j in range(size[1]):
            y, x_ = i * (height - 1) / max(1, size[0] - 1), j * (width - 1) / max(1, size[1] - 1)
            top, left = min(int(y), height - 1), min(int(x_), width - 1)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            down, across = y - top, x_ - left
            above = (1 - across) * x[top, left] + across * x[top, right]
            below = (1 - across) * x[bottom, left] + across * x[bottom, right]
            result[i, j] = (1 - down) * above + down * below
    return result


def single(segmenter: Segmenter, images: Tensor) -> SegmenterOutput:
    """The network at one resolution, by its parts."""
    pyramid = tuple(segmenter.backbone(images))
    logits = segmenter.head(pyramid[-1])
    return SegmenterOutput(pyramid[-1], logits, pyramid=pyramid)


def fused_by_hand(segmenter: Segmenter, images: Tensor, windows: Sequence[Window]) -> Array:
    """The fusion by loops over windows, classes and cells; windows in cells of 16 px."""
    count, _, height, width = images.shape
    rows, columns = height // 16, width // 16
    context = single(segmenter, resize_images(images, HeightWidth((height // 2, width // 2))))
    attention = segmenter.multi_resolution.attention(context.pyramid).sigmoid()
    pasted = np.zeros((count, CLASSES.count, 2 * rows, 2 * columns))
    seen = np.zeros((2 * rows, 2 * columns))
    allowed = np.zeros((rows, columns))
    for top, left in ((w[0].start, w[1].start) for w in windows):
        bottom, right = min(top + 1, rows), min(left + 2, columns)
        part = single(segmenter, images[..., 16 * top : 16 * bottom, 16 * left : 16 * right]).logits.double()
        for y in range(2 * top, 2 * bottom):
            for x in range(2 * left, 2 * right):
                pasted[:, :, y, x] += part[:, :, y - 2 * top, x - 2 * left].numpy()
                seen[y, x] += 1
                allowed[y // 2, x // 2] = 1
    result = np.zeros_like(pasted)
    for n in range(count):
        for c in range(CLASSES.count):
            weight = allowed * attention[n, c if attention.shape[1] > 1 else 0].double().numpy()
            low = enlarged((1 - weight) * context.logits[n, c].double().numpy(), seen.shape)
            high = enlarged(weight, seen.shape)
            for y in range(seen.shape[0]):
                for x in range(seen.shape[1]):
                    detail = pasted[n, c, y, x] / seen[y, x] if seen[y, x] else 0.0
                    result[n, c, y, x] = low[y, x] + high[y, x] * detail
    return result


def noise(*size: int) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("attention", ["per_class", "shared"])
def test_the_fusion_of_one_detail_equals_a_loop_over_pixels(attention: str) -> None:
    segmenter = hrda(batch_norm="frozen", multi_resolution={"attention": attention}).train()
    images = noise(48, 64)
    torch.manual_seed(3)
    place = segmenter.multi_resolution.windows(HeightWidth((3, 4)))
    torch.manual_seed(3)
    with torch.no_grad():
        output = segmenter(images)
        expected = fused_by_hand(segmenter, images, place)
    assert output.logits.shape == (2, 4, 6, 8)
    np.testing.assert_allclose(output.logits.numpy(), expected, rtol=1e-4, atol=1e-4)
    (rows, columns), (top, left) = output.detail.window, (place[0][0].start, place[0][1].start)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (
        16 * top,
        16 * top + 16,
        16 * left,
        16 * left + 32,
    )
    with torch.no_grad():
        alone = single(segmenter, images[..., rows, columns]).logits
    torch.testing.assert_close(output.detail.logits, alone)
    assert output.detail.weight == 0.1
    # Features are the context's.
    assert output.features.shape[-2:] == (3, 4)


@pytest.mark.parametrize("size", [(48, 96), (16, 32), (16, 48), (80, 32)])
def test_inference_equals_a_sliding_window_written_by_hand(size: tuple[int, int]) -> None:
    """Windows of 1 x 2 cells overlap by half, and the last ones end with the image."""
    segmenter = hrda().eval()
    images = noise(*size)
    rows, columns = size[0] // 16, size[1] // 16
    windows = [
        (slice(top, top + 1), slice(left, left + 2)) for top in range(rows) for left in range(columns - 1)
    ]
    with torch.no_grad():
        output = segmenter(images)
        expected = fused_by_hand(segmenter, images, windows)
        np.testing.assert_allclose(output.logits.numpy(), expected, rtol=1e-4, atol=1e-4)
        assert output.detail is None
        # The same through `Inference`: what predict, evaluate and pseudo labels use.
        pixels = torch.rand(2, 3, *size)
        logits = fused_by_hand(segmenter, segmenter.normalize(pixels), windows)
        ids = Inference().ids([segmenter], pixels, HeightWidth((2 * rows, 2 * columns)))
    np.testing.assert_array_equal(ids.numpy(), logits.argmax(axis=1))


def test_details_and_context_begin_with_cells_of_both() -> None:
    """Of every place drawn in an image of any size, all of them come up and none is out of step."""
    windows = DetailWindows(HeightWidth((2, 3))).train()
    torch.manual_seed(0)
    drawn = {(w[0].start, w[1].start) for _ in range(300) for w in windows(HeightWidth((4, 5)))}
    assert drawn == {(top, left) for top in range(3) for left in range(3)}
    segmenter = hrda(multi_resolution={"detail": (20, 33)}).train()
    module = segmenter.multi_resolution
    # Stride 8 and half the size: 16 px. Details of 20 x 33 px are rounded up to 2 x 3 cells.
    assert (module.unit_px, module.windows.size) == (16, (3, 2))
    for size in ((64, 96), (48, 48)):
        for seed in range(8):
            torch.manual_seed(seed)
            rows, columns = segmenter(noise(*size)).detail.window
            assert all(value % 16 == 0 for value in (rows.start, rows.stop, columns.start, columns.stop))


@pytest.mark.parametrize("size", [(50, 70), (17, 130), (9, 9), (63, 64)])
def test_images_of_any_size_are_brought_to_whole_cells(size: tuple[int, int]) -> None:
    segmenter = hrda(batch_norm="frozen").train()
    whole = HeightWidth((-(-size[0] // 16) * 16, -(-size[1] // 16) * 16))
    images = noise(*size)
    torch.manual_seed(2)
    output = segmenter(images)
    assert output.logits.shape[-2:] == (whole[0] // 8, whole[1] // 8)
    torch.manual_seed(2)
    same = segmenter(resize_images(images, whole))
    torch.testing.assert_close(output.logits, same.logits)
    rows, columns = output.detail.window
    height, width = rows.stop - rows.start, columns.stop - columns.start
    assert 0 < height <= size[0] and rows.stop <= size[0] and 0 < width <= size[1] and columns.stop <= size[1]
    # A detail's place in the image is that in the enlarged one, to a pixel.
    for part, other, px, side in zip((rows, columns), same.detail.window, size, whole, strict=True):
        assert abs(part.start - other.start * px / side) <= 0.5
    ids = segmenter.predict(np.zeros((*size, 3), dtype=np.uint8))
    assert ids.shape == size


def test_the_attention_learns_only_where_a_detail_is_seen() -> None:
    segmenter = hrda(batch_norm="frozen").train()
    seen: list[Tensor] = []
    segmenter.multi_resolution.attention.register_forward_hook(lambda *a: seen.append(a[-1]))
    images = noise(64, 96)
    output = segmenter(images)
    (logits,) = seen
    logits.retain_grad()
    output.logits.square().sum().backward()
    rows, columns = (slice(part.start // 16, part.stop // 16) for part in output.detail.window)
    inside = torch.zeros(logits.shape[-2:], dtype=torch.bool)
    inside[rows, columns] = True
    assert logits.grad is not None
    assert (logits.grad[..., inside] != 0).all() and (logits.grad[..., ~inside] == 0).all()
    assert all(p.grad is not None and p.grad.any() for p in segmenter.multi_resolution.parameters())


def test_the_attentions_gradient_is_that_of_finite_differences() -> None:
    segmenter = hrda(batch_norm="frozen").double().train()
    images = noise(32, 48).double()
    bias = next(p for name, p in segmenter.multi_resolution.named_parameters() if name.endswith("bias"))

    def loss() -> Tensor:
        torch.manual_seed(4)
        return segmenter(images).logits.square().mean()

    loss().backward()
    assert bias.grad is not None
    for c in range(CLASSES.count):
        with torch.no_grad():
            bias[c] += 1e-5
            above = loss()
            bias[c] -= 2e-5
            below = loss()
            bias[c] += 1e-5
        assert bias.grad[c].item() == pytest.approx((above - below).item() / 2e-5, rel=1e-4)


def test_a_teacher_sees_all_details_in_training_mode() -> None:
    segmenter = hrda(batch_norm="frozen").train()
    images = noise(48, 64)
    with torch.no_grad():
        with seeing_all_details(segmenter):
            inside = segmenter(images)
        expected = segmenter.eval()(images)
    assert inside.detail is None
    torch.testing.assert_close(inside.logits, expected.logits)
    segmenter.train()
    with seeing_all_details(segmenter):
        assert segmenter.training and segmenter.backbone.training
    assert segmenter.multi_resolution.windows.training


def test_two_classifiers_are_fused_one_by_one_with_one_attention() -> None:
    segmenter = hrda(classifiers=2, auxiliary_head=True).train()
    output = segmenter(noise(48, 64))
    first, second = output.head_logits
    torch.testing.assert_close(output.logits, first + second)
    assert first.shape == (2, 4, 6, 8) and output.auxiliary_logits.shape[-2:] == (3, 4)
    assert output.detail.logits.shape[-2:] == (2, 4)
    segmenter.second_head.load_state_dict(segmenter.head.state_dict())
    torch.manual_seed(0)
    first, second = segmenter(noise(48, 64)).head_logits
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize("shrink", [2, 4])
def test_a_model_file_predicts_as_the_network_did(shrink: int, tmp_path: Path) -> None:
    segmenter = hrda(multi_resolution={"shrink": shrink, "detail": (64, 32), "attention": "shared"}).eval()
    segmenter.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert again.config.multi_resolution == segmenter.config.multi_resolution
    image = np.random.default_rng(0).integers(0, 255, (90, 150, 3), dtype=np.uint8)
    np.testing.assert_array_equal(again.predict(image), segmenter.predict(image))
    windowed = Inference(window=(96, 64), scales=(0.5, 1.0), flip=True)
    np.testing.assert_array_equal(again.predict(image, windowed), segmenter.predict(image, windowed))
    # A file without it is as it was, and tells itself apart.
    tiny().save(tmp_path / "plain.safetensors")
    assert load(tmp_path / "plain.safetensors").multi_resolution is None


@pytest.mark.parametrize(
    ("settings", "kind", "unit_px"),
    [
        ({"backbone": "resnet18", "output_stride": 16}, "DeepLabV2Head", 32),
        ({"backbone": "resnet18", "head": "linear"}, "LinearHead", 16),
        ({"backbone": "resnet18", "head": "fcn8s", "output_stride": 32}, "FCN8sHead", 16),
        ({"backbone": "pvt_v2_b0", "head": "daformer", "head_channels": 16}, "SegFormerHead", 8),
        ({"backbone": "vit_tiny_patch16_224", "head": "linear"}, "LinearHead", 32),
        ({"backbone": "vit_small_patch14_reg4_dinov2", "head": "linear"}, "LinearHead", 28),
        ({"backbone": "hiera_tiny_224", "head": "linear", "input_size": (64, 64)}, "LinearHead", 64),
    ],
)
def test_every_head_and_stride(settings: dict[str, Any], kind: str, unit_px: int) -> None:
    config = {"weights": "none", "multi_resolution": {"detail": (64, 64), "attention_channels": 32}}
    segmenter = Segmenter(SegmenterConfig.model_validate(config | settings), CLASSES).eval()
    module = segmenter.multi_resolution
    assert module.unit_px == unit_px
    attention = getattr(module.attention, "head", module.attention)
    assert type(attention).__name__ == kind
    rows, columns = -(-100 // unit_px), -(-130 // unit_px)
    with torch.no_grad():
        output = segmenter(noise(100, 130))
    assert output.logits.shape == (2, CLASSES.count, 2 * rows, 2 * columns)
    assert output.logits.isfinite().all()


def test_around_a_network_of_ones_own(tmp_path: Path) -> None:
    code = tmp_path / "own.py"
    code.write_text(
        "import torch\n\nclass Own(torch.nn.Module):\n    def __init__(self, classes, features=True):\n"
        "        super().__init__()\n        self.features = features\n"
        "        self.body = torch.nn.Conv2d(3, 8, 4, stride=4)\n"
        "        self.classify = torch.nn.Conv2d(8, classes, 1)\n\n    def forward(self, x):\n"
        "        x = self.body(x)\n"
        "        return (self.classify(x), x) if self.features else self.classify(x)\n"
    )
    config = {"module": f"{code}:Own", "multi_resolution": {"detail": (32, 32)}}
    segmenter = Segmenter(SegmenterConfig.model_validate(config), CLASSES).train()
    assert segmenter.multi_resolution.unit_px == 8
    output = segmenter(noise(48, 64))
    assert output.logits.shape[-2:] == (12, 16)
    output.logits.square().mean().backward()
    segmenter.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    with torch.no_grad():
        images = noise(40, 40)
        torch.testing.assert_close(again(images).logits, segmenter.eval()(images).logits)
    with pytest.raises(InputError, match="gives no features, which this method needs"):
        Segmenter(SegmenterConfig.model_validate(config | {"settings": {"features": False}}), CLASSES)


@pytest.mark.parametrize("size", [(48, 96), (16, 32), (16, 48), (80, 32), (9, 150), (63, 64)])
def test_all_details_in_one_batch_are_those_of_the_loop(size: tuple[int, int]) -> None:
    """What a program does, in which nothing may depend on a size."""
    segmenter = hrda(classifiers=2, multi_resolution={"detail": (64, 33)}).eval()
    images, looks = noise(*size), list[int]()
    with torch.no_grad():
        one_by_one = segmenter(images)
        segmenter.multi_resolution.at_once = True
        segmenter.backbone.register_forward_pre_hook(lambda _, inputs: looks.append(len(inputs[0])))
        together = segmenter(images)
    for a, b in zip(together.head_logits, one_by_one.head_logits, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(together.logits, one_by_one.logits, rtol=1e-5, atol=1e-6)
    rows, columns = -(-size[0] // 16), -(-size[1] // 16)
    windows = len(segmenter.multi_resolution.windows(HeightWidth((rows, columns))))
    assert looks == [2, 2 * windows]  # the context, then all details
    # Training still sees one at a random place.
    assert segmenter.train()(images).detail is not None
