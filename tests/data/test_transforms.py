"""Joint transforms: sizes, alignment of image and label, and where the randomness comes from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from segshift.config import parse
from segshift.data.augmentation import Augmentation, Blur, ColorJitter
from segshift.data.labels import IGNORE
from segshift.data.sampler import Wish
from segshift.errors import InputError
from tests.data.files import assert_one_line

sides = st.integers(1, 40)
sizes = st.tuples(sides, sides)
seeds = st.integers(0, 2**63 - 1)


def twins(width: int, height: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """An image whose three channels are its label's ids + 1, so that a padded pixel (0) differs from id 0."""
    label = torch.from_numpy(np.random.default_rng(seed).integers(0, 200, (height, width), np.uint8))
    return (label + 1).expand(3, -1, -1).contiguous(), label


def smooth(width: int, height: int) -> tuple[Tensor, Tensor]:
    """A ramp from left to right, the same in image and label."""
    ramp = torch.linspace(0, 200, width).round().to(torch.uint8).expand(height, -1).contiguous()
    return ramp.expand(3, -1, -1).contiguous(), ramp


@given(sizes, sizes, seeds)
def test_crop_and_flip_keep_image_and_label_together(
    size: tuple[int, int], crop: tuple[int, int], seed: int
) -> None:
    image, label = twins(*size)
    augmentation = Augmentation(crop=crop, flip=True)
    new_image, new_label = augmentation(image, label, seed)
    assert new_label is not None
    assert new_image.shape == (3, crop[1], crop[0])
    assert new_label.shape == (crop[1], crop[0])
    padded = new_label == IGNORE
    assert padded.sum() == crop[0] * crop[1] - min(crop[0], size[0]) * min(crop[1], size[1])
    assert (new_image[:, padded] == 0).all()
    assert torch.equal(new_image[0][~padded].int(), new_label[~padded].int() + 1)
    assert torch.equal(new_image[0], new_image[2])


def test_a_crop_is_repeated_until_it_shows_the_class() -> None:
    """Of 60 x 60 px, only those of the last ten columns are of class 7."""
    label = torch.zeros(60, 60, dtype=torch.uint8)
    label[:, 50:] = 7
    image = label.expand(3, -1, -1).contiguous()
    augmentation = Augmentation(crop=(20, 20))

    def shown(seed: int, wish: Wish | None) -> int:
        _, crop = augmentation(image, label, seed, wish)
        assert crop is not None
        return int((crop == 7).sum())

    for seed in range(40):
        alone = shown(seed, None)
        assert shown(seed, Wish(7, 100, 1)) == alone  # one try is the crop as it always was
        if alone >= 100:
            assert shown(seed, Wish(7, 100, 10)) == alone  # no second try where the first one will do
    once, often = (sum(shown(seed, Wish(7, 100, n)) >= 100 for seed in range(200)) / 200 for n in (1, 10))
    # 41 places, of which those from column 35 on have five columns of it or more: 6 of 41.
    assert once == pytest.approx(6 / 41, abs=0.08)
    assert often == pytest.approx(1 - (35 / 41) ** 10, abs=0.08)
    # What no crop can show ends with the last try.
    assert augmentation(image, label, 0, Wish(9, 1, 5))[0].shape == (3, 20, 20)


@given(sizes, sizes, seeds)
def test_a_crop_is_a_window_of_the_sample(size: tuple[int, int], crop: tuple[int, int], seed: int) -> None:
    image, label = twins(*size)
    _, new_label = Augmentation(crop=crop)(image, label, seed)
    assert new_label is not None
    padded = torch.nn.functional.pad(
        label, (0, max(0, crop[0] - size[0]), 0, max(0, crop[1] - size[1])), value=IGNORE
    )
    windows = padded.unfold(0, crop[1], 1).unfold(1, crop[0], 1).reshape(-1, crop[1], crop[0])
    assert any(torch.equal(window, new_label) for window in windows)


def test_crops_reach_every_place() -> None:
    _, label = twins(5, 4)
    image = torch.arange(20, dtype=torch.uint8).reshape(1, 4, 5).expand(3, -1, -1)
    corners = {int(Augmentation(crop=(3, 3))(image, label, seed)[0][0, 0, 0]) for seed in range(200)}
    assert corners == {0, 1, 2, 5, 6, 7}


def test_flips_happen_half_the_time_and_mirror_left_and_right() -> None:
    image, label = twins(5, 4)
    flipped = 0
    for seed in range(400):
        new_image, new_label = Augmentation(flip=True)(image, label, seed)
        assert new_label is not None
        if torch.equal(new_image, image):
            continue
        flipped += 1
        assert torch.equal(new_image, torch.flip(image, (2,)))
        assert torch.equal(new_label, torch.flip(label, (1,)))
    assert 150 < flipped < 250


@given(sizes, sizes)
def test_resize_gives_the_size_and_invents_no_ids(size: tuple[int, int], resize: tuple[int, int]) -> None:
    image, label = twins(*size)
    new_image, new_label = Augmentation(resize=resize)(image, label, None)
    assert new_label is not None
    assert new_image.shape == (3, resize[1], resize[0])
    # The nearest pixel by centers; a center on the edge between two pixels may take either.
    rows, columns = _nearest(size[1], resize[1]), _nearest(size[0], resize[0])
    choices = [label[row][:, column] for row in rows for column in columns]
    assert torch.stack([new_label == choice for choice in choices]).any(dim=0).all()


def _nearest(old: int, new: int) -> list[Tensor]:
    centers = (np.arange(new) + 0.5) * old / new
    return [
        torch.from_numpy(np.clip(np.floor(centers + nudge), 0, old - 1)).long() for nudge in (-1e-4, 1e-4)
    ]


@pytest.mark.parametrize(
    ("fit", "size", "expected"),
    [
        ("stretch", (36, 48), (32, 18)),
        ("cover", (36, 48), (32, 43)),
        ("cover", (100, 18), (100, 18)),
        ("cover", (7, 3), (42, 18)),
        ("pad", (36, 48), (32, 18)),
        ("pad", (320, 20), (32, 18)),
    ],
)
def test_fit_keeps_proportions(fit: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    image, label = (
        torch.full((3, size[1], size[0]), 200, dtype=torch.uint8),
        torch.ones(size[::-1], dtype=torch.uint8),
    )
    for seed in (None, 3):
        seen, ids = Augmentation(resize=(32, 18), fit=fit)(image, label, seed)
        assert ids is not None and tuple(seen.shape[:0:-1]) == expected and seen.shape[1:] == ids.shape
        # What is filled up is black, ignored, and at the right or the bottom.
        filled = ids == 255
        assert bool((seen[:, filled] == 0).all()) and bool((seen[:, ~filled] == 200).all())
        rows, columns = int((~filled)[:, 0].sum()), int((~filled)[0].sum())
        assert int((~filled).sum()) == rows * columns
        if fit == "pad":
            assert (rows, columns) == ((18, 14) if size == (36, 48) else (2, 32))


def test_resize_does_not_shift_labels_against_images() -> None:
    image, label = smooth(300, 8)
    # Odd ratios: at even ones a center lies between two pixels and either is nearest.
    for width in (77, 100, 431):
        new_image, new_label = Augmentation(resize=(width, 8))(image, label, None)
        assert new_label is not None
        difference = new_image[0].float() - new_label.float()
        assert abs(float(difference.mean())) < 0.2, width


def test_interpolations_differ_and_keep_uint8() -> None:
    image, label = twins(16, 16)
    bilinear, _ = Augmentation(resize=(23, 9))(image, label, None)
    bicubic, _ = Augmentation(resize=(23, 9), interpolation="bicubic")(image, label, None)
    assert bilinear.dtype == bicubic.dtype == torch.uint8
    assert not torch.equal(bilinear, bicubic)


@given(sides, sides, sides)
def test_one_column_is_computed_right(width: int, height: int, new_height: int) -> None:
    image = torch.full((3, height, width), 123, dtype=torch.uint8)
    column, _ = Augmentation(resize=(1, new_height))(image, None, None)
    assert column.dtype == torch.uint8
    assert torch.equal(column, torch.full((3, new_height, 1), 123, dtype=torch.uint8))


def test_reducing_is_anti_aliased() -> None:
    stripes = torch.zeros(3, 8, 63, dtype=torch.uint8)
    stripes[..., ::2] = 255
    small, _ = Augmentation(resize=(21, 8))(stripes, None, None)
    # Each center lies on one column, black and white in turn; only a wider filter sees both.
    assert ((small > 100) & (small < 156)).all()


def test_a_sample_of_the_right_size_is_untouched() -> None:
    image, label = twins(9, 7)
    new_image, new_label = Augmentation(resize=(9, 7))(image, label, None)
    assert torch.equal(new_image, image)
    assert new_label is not None
    assert torch.equal(new_label, label)


@given(sizes, seeds)
def test_random_scale_lies_in_its_range(size: tuple[int, int], seed: int) -> None:
    new_image, new_label = Augmentation(resize=size, scale=(0.5, 1.5))(*twins(20, 10), seed)
    assert new_label is not None
    assert new_image.shape[1:] == new_label.shape
    for new, old in zip(reversed(new_label.shape), size, strict=True):
        assert max(1, int(0.5 * old)) <= new <= round(1.5 * old)


def test_random_scale_uses_all_of_its_range() -> None:
    widths = {Augmentation(scale=(0.5, 1.5))(*twins(100, 4), seed)[0].shape[2] for seed in range(200)}
    assert min(widths) < 60
    assert max(widths) > 140


FULL = Augmentation(
    resize=(24, 18),
    scale=(0.5, 1.5),
    crop=(16, 12),
    flip=True,
    color_jitter=ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, probability=0.8),
    blur=Blur(sigma=(0.2, 2.0), probability=0.5),
)


@settings(max_examples=25)
@given(seeds)
def test_a_seed_decides_everything_and_global_randomness_nothing(seed: int) -> None:
    image, label = twins(20, 15)
    before = image.clone()
    torch.manual_seed(1)
    first = FULL(image, label, seed)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = FULL(image, label, seed)
    assert torch.equal(torch.get_rng_state(), state), "the global random state must be left alone"
    assert torch.equal(first[0], second[0])
    assert first[1] is not None and second[1] is not None
    assert torch.equal(first[1], second[1])
    assert torch.equal(image, before), "the input must be left alone"


def test_different_seeds_differ() -> None:
    image, label = twins(20, 15)
    assert len({FULL(image, label, seed)[0].numpy().tobytes() for seed in range(20)}) == 20


def test_a_label_does_not_change_what_happens_to_the_image() -> None:
    image, label = twins(20, 15)
    for seed in range(10):
        alone, nothing = FULL(image, None, seed)
        assert nothing is None
        assert torch.equal(alone, FULL(image, label, seed)[0])


def test_without_a_seed_nothing_but_resize_happens() -> None:
    image, label = twins(20, 15)
    plain = Augmentation(resize=(24, 18))(image, label, None)
    full = FULL(image, label, None)
    assert torch.equal(plain[0], full[0])
    assert plain[1] is not None and full[1] is not None
    assert torch.equal(plain[1], full[1])


@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturation", "hue"])
def test_every_jitter_changes_the_image_and_not_the_label(kind: str) -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 9, 9), np.uint8))
    label = twins(9, 9)[1]
    new_image, new_label = Augmentation(color_jitter=ColorJitter(**{kind: 0.5}))(image, label, 3)
    assert new_image.dtype == torch.uint8
    assert not torch.equal(new_image, image)
    assert new_label is not None
    assert torch.equal(new_label, label)


def test_brightness_scales_by_a_factor_of_its_range() -> None:
    image = torch.full((3, 2, 2), 100, dtype=torch.uint8)
    augmentation = Augmentation(color_jitter=ColorJitter(brightness=0.2))
    values = [int(augmentation(image, None, seed)[0][0, 0, 0]) for seed in range(200)]
    assert min(values) in range(80, 84)
    assert max(values) in range(117, 121)


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_jitter_and_blur_happen_with_their_probability(probability: float) -> None:
    image = twins(9, 9)[0]
    for augmentation in (
        Augmentation(color_jitter=ColorJitter(brightness=0.4, probability=probability)),
        Augmentation(blur=Blur(sigma=(1, 2), probability=probability)),
    ):
        changed = sum(not torch.equal(augmentation(image, None, seed)[0], image) for seed in range(200))
        assert abs(changed - 200 * probability) <= (25 if 0 < probability < 1 else 0)


def test_blur_is_a_gaussian() -> None:
    image = torch.zeros(3, 41, 41, dtype=torch.uint8)
    image[:, 20, 20] = 255
    blurred, _ = Augmentation(blur=Blur(sigma=(1.5, 1.5), probability=1))(image, None, 0)
    distance = np.arange(41) - 20
    bell = np.exp(-0.5 * (distance / 1.5) ** 2)
    expected = 255 * np.outer(bell, bell) / bell.sum() ** 2
    assert np.abs(blurred[1].numpy() - expected).max() <= 0.6


@given(sizes, st.floats(0.1, 30))
def test_blur_works_on_images_smaller_than_its_kernel(size: tuple[int, int], sigma: float) -> None:
    image = torch.full((3, size[1], size[0]), 77, dtype=torch.uint8)
    blurred, _ = Augmentation(blur=Blur(sigma=(sigma, sigma), probability=1))(image, None, 0)
    assert torch.equal(blurred, image), "a constant image stays constant"


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        ({"crops": [4, 4]}, ["`crops`", "did you mean `crop`?"]),
        ({"crop": [0, 4]}, ["`crop.0` = 0"]),
        ({"scale": [1.5, 0.5]}, ["scale = [1.5, 0.5]", "[smallest, largest]"]),
        ({"scale": [0, 1]}, ["`scale.0` = 0"]),
        ({"color_jitter": {"hue": 0.6}}, ["`color_jitter.hue` = 0.6"]),
        ({"color_jitter": {"brigthness": 0.6}}, ["did you mean `brightness`?"]),
        ({"blur": {"sigma": [2, 1]}}, ["sigma = [2.0, 1.0]"]),
        ({"blur": {"probability": 2}}, ["`blur.probability` = 2"]),
        ({"interpolation": "nearest"}, ["`interpolation` = 'nearest'", "bicubic"]),
    ],
)
def test_wrong_settings_are_one_line(keys: dict[str, object], parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse(Augmentation, keys, where="recipe.yaml")
    assert_one_line(caught.value, "recipe.yaml", *parts)
