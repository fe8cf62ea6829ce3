"""Pictures: colours against a loop, legends and strips by the pixels they show."""

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from segshift.errors import InputError
from segshift.pictures import INK, PAPER, Pixels, colorize, legend, overlay, present_ids, strip

COLORS = ((70, 130, 180), (128, 64, 128), (107, 142, 35))


@dataclass(frozen=True)
class Classes:
    names: tuple[str, ...] = ("sky", "road", "vegetation")

    @property
    def palette(self) -> Pixels:
        table = np.zeros((256, 3), dtype=np.uint8)
        table[: len(COLORS)] = COLORS
        return table


CLASSES = Classes()
LABEL = np.array([[0, 1, 255], [2, 2, 2]], dtype=np.uint8)


def rgb(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))


def shows(image: Image.Image, color: tuple[int, int, int]) -> bool:
    return bool((rgb(image) == np.array(color)).all(axis=2).any())


def test_colorize_equals_a_loop_over_pixels() -> None:
    expected = [[COLORS[i] if i < 3 else (0, 0, 0) for i in row] for row in LABEL.tolist()]
    np.testing.assert_array_equal(colorize(LABEL, CLASSES), np.array(expected))


@pytest.mark.parametrize("wrong", [np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.int64)])
def test_colorize_rejects_what_is_no_label_map(wrong: Pixels) -> None:
    with pytest.raises(InputError, match="uint8"):
        colorize(wrong, CLASSES)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_overlay_mixes_and_leaves_ignored_pixels_alone(alpha: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    mixed = overlay(image, LABEL, CLASSES, alpha)
    assert mixed.dtype == np.uint8
    for y, x in np.ndindex(2, 3):
        before = image[y, x].astype(float)
        if LABEL[y, x] == 255:
            expected = before
        else:
            expected = (1 - alpha) * before + alpha * np.array(COLORS[LABEL[y, x]])
        assert np.abs(mixed[y, x] - expected).max() <= 0.5


def test_overlay_errors_name_the_problem() -> None:
    with pytest.raises(InputError, match="resize"):
        overlay(np.zeros((4, 4, 3), np.uint8), LABEL, CLASSES)
    with pytest.raises(InputError, match="alpha"):
        overlay(np.zeros((2, 3, 3), np.uint8), LABEL, CLASSES, alpha=1.5)


def test_present_ids_are_sorted_by_pixels_over_all_maps() -> None:
    assert present_ids([LABEL], CLASSES) == (2, 0, 1)
    assert present_ids([LABEL, np.full((2, 3), 1, np.uint8)], CLASSES) == (1, 2, 0)
    assert present_ids([np.full((2, 3), 255, np.uint8)], CLASSES) == ()


def test_legend_shows_exactly_the_present_classes_in_order() -> None:
    picture = legend(CLASSES, [2, 0])
    assert shows(picture, COLORS[2]) and shows(picture, COLORS[0]) and not shows(picture, COLORS[1])
    columns = [
        np.flatnonzero((rgb(picture) == np.array(COLORS[index])).all(axis=2).any(axis=0)).min()
        for index in (2, 0)
    ]
    assert columns[0] < columns[1]


def test_a_narrow_legend_wraps_and_stays_inside() -> None:
    wide, narrow = legend(CLASSES, [0, 1, 2], width=800), legend(CLASSES, [0, 1, 2], width=170)
    assert narrow.height > wide.height
    border = np.concatenate([rgb(narrow)[:, 0], rgb(narrow)[:, -1], rgb(narrow)[-1]])
    assert (border == np.array(PAPER)).all()


def test_legend_rejects_an_id_without_a_class_and_survives_none() -> None:
    with pytest.raises(InputError, match="255"):
        legend(CLASSES, [255])
    assert (rgb(legend(CLASSES, [])) != 255).any()


def test_strip_places_every_picture_below_its_own_caption() -> None:
    red, green = np.zeros((60, 80, 3), np.uint8), np.zeros((60, 80, 3), np.uint8)
    red[..., 0], green[..., 1] = 255, 255
    grid = rgb(strip([[("first", red), ("second", green)], [("third", green)]], cell_width=160))
    reds = np.argwhere((grid == (255, 0, 0)).all(axis=2))
    greens = np.argwhere((grid == (0, 255, 0)).all(axis=2))
    assert len(reds) == 160 * 120 and len(greens) == 2 * 160 * 120
    assert reds[:, 1].max() < greens[greens[:, 0] <= reds[:, 0].max()][:, 1].min()
    assert (grid[: reds[:, 0].min()] != 255).any(), "no caption above the first row"


def test_strip_keeps_label_colors_pure_when_scaling() -> None:
    label = np.random.default_rng(1).integers(0, 3, (40, 50), dtype=np.uint8)
    grid = rgb(strip([[("", colorize(label, CLASSES))]], cell_width=173))
    found = {tuple(int(value) for value in color) for color in np.unique(grid.reshape(-1, 3), axis=0)}
    assert found == {*COLORS, PAPER}


def test_strip_shortens_captions_to_their_cell() -> None:
    black = np.zeros((20, 100, 3), np.uint8)
    grid = rgb(strip([[("a caption that is far too long for its cell " * 3, black)]], cell_width=100))
    rows = np.flatnonzero((grid == np.array(INK)).all(axis=2).any(axis=1))
    assert len(rows)
    right = (len(grid[0]) - 100) // 2 + 100
    assert (grid[:, right:] == 255).all()


def test_strip_adds_the_footer_and_needs_a_picture() -> None:
    black = np.zeros((20, 100, 3), np.uint8)
    footer = legend(CLASSES, [1], width=2000)
    plain, with_footer = strip([[("x", black)]]), strip([[("x", black)]], footer=footer)
    assert with_footer.width == plain.width and with_footer.height > plain.height
    with pytest.raises(InputError, match="no picture"):
        strip([[]])
