"""The history of generated images against a list."""

import pytest
import torch
from torch import Tensor

from segshift.errors import InputError
from segshift.methods.image_history import ImageHistory


def images(count: int, first: int, size: tuple[int, int] = (2, 3)) -> Tensor:
    """Images of one gray each, which 8 bits hold exactly."""
    grays = torch.arange(first, first + count).float() / 255 * 2 - 1
    return grays.view(-1, 1, 1, 1).expand(-1, 3, *size).clone()


def gray(image: Tensor) -> int:
    return round((image[0, 0, 0].item() + 1) / 2 * 255)


def test_equals_a_list() -> None:
    capacity, history = 4, ImageHistory(4)
    kept: list[int] = []
    torch.manual_seed(0)
    shown = [gray(image) for step in range(10) for image in history.exchange(images(2, 2 * step))]
    torch.manual_seed(0)
    expected = []
    for value in range(20):
        if len(kept) < capacity:
            kept.append(value)
            expected.append(value)
        elif torch.rand(()) < 0.5:
            expected.append(value)
        else:
            place = int(torch.randint(capacity, ()))
            expected.append(kept[place])
            kept[place] = value
    assert shown == expected and expected != list(range(20))
    assert [gray(image) for image in history.images / 255 * 2 - 1] == kept


def test_half_are_swapped() -> None:
    history = ImageHistory(5)
    torch.manual_seed(0)
    history.exchange(images(5, 0))
    new = images(200, 50)
    same = sum(torch.equal(a, b) for a, b in zip(history.exchange(new), new, strict=True))
    assert 70 < same < 130


def test_no_history_shows_every_image() -> None:
    history, new = ImageHistory(0), images(3, 7)
    assert history.exchange(new) is new and history.images.numel() == 0


def test_a_loaded_history_goes_on_as_the_saved_one() -> None:
    history = ImageHistory(3)
    torch.manual_seed(0)
    history.exchange(images(5, 0))
    state = {name: value.clone() for name, value in history.state_dict().items()}
    other = ImageHistory(3)
    other.load_state_dict(state)
    results = []
    for one in (history, other):
        torch.manual_seed(1)
        results.append(one.exchange(images(6, 100)))
    assert torch.equal(*results) and torch.equal(history.images, other.images)
    # Saved before the first image came.
    other.load_state_dict(ImageHistory(3).state_dict())
    assert other.images.numel() == 0 and other.filled == 0
    assert torch.equal(other.exchange(images(2, 0)), images(2, 0))


def test_images_of_another_size_are_refused() -> None:
    history = ImageHistory(3)
    history.exchange(images(1, 0))
    with pytest.raises(InputError, match=r"holds 3x2, and 5x4 came: set `crop`"):
        history.exchange(images(1, 0, (4, 5)))
