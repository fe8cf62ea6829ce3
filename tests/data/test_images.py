"""Reading files: what is accepted, and one line for everything that is not."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segshift.data import containers
from segshift.data.containers import read_header
from segshift.data.images import read_image
from segshift.data.label_files import read_label
from segshift.errors import InputError
from tests.data.files import assert_one_line, huge_png, ids, pixels, png, save, truncated


def test_an_rgb_png_comes_back_pixel_for_pixel(tmp_path: Path) -> None:
    expected = pixels(1)
    assert np.array_equal(read_image(save(tmp_path / "a.png", expected)), expected)


def test_a_jpeg_comes_back_as_pillow_decodes_it(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", pixels(1))
    assert np.array_equal(read_image(path), np.asarray(Image.open(path)))


def test_grey_is_repeated_and_a_palette_resolved(tmp_path: Path) -> None:
    grey = ids(1, count=256)
    assert np.array_equal(read_image(save(tmp_path / "grey.png", grey)), np.stack([grey] * 3, axis=-1))
    palette = Image.fromarray(pixels(2)).quantize(16)
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(read_image(tmp_path / "palette.png"), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_truncated_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = truncated(tmp_path / f"half{suffix}")
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert_one_line(caught.value, str(path), "truncated", "replace the file")


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 0.9), flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), max_size=4))
def test_damage_is_one_line_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, cut: float, flips: list
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    for suffix in (".png", ".jpg"):
        path = save(folder / f"a{suffix}", pixels(3, 24, 24))
        data = bytearray(path.read_bytes())
        for place, change in flips:
            data[int(place * len(data))] ^= change
        path.write_bytes(data[: len(data) - int(cut * len(data))])
        for read in (read_image, lambda path: read_label(path, "ids"), lambda path: read_label(path, "rgb")):
            try:
                read(path)
            except InputError as error:
                assert_one_line(error, str(path))


def test_images_with_a_transparent_pixel_are_refused(tmp_path: Path) -> None:
    for name, mode in (("a.png", "RGBA"), ("b.png", "LA")):
        path = tmp_path / name
        Image.new(mode, (4, 4)).save(path)
        with pytest.raises(InputError) as caught:
            read_image(path)
        assert_one_line(caught.value, str(path), "transparency", "100.0%", "without alpha")
    palette = Image.new("P", (4, 4))
    palette.save(tmp_path / "c.png", transparency=0)
    with pytest.raises(InputError, match="transparency"):
        read_image(tmp_path / "c.png")


def test_a_png_that_claims_a_huge_size_is_refused_unread(tmp_path: Path) -> None:
    path = huge_png(tmp_path / "bomb.png")
    # A warning by Pillow would be an error here: the refusal must come before it.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for read in (read_image, lambda path: read_label(path, "ids")):
            with pytest.raises(InputError) as caught:
                read(path)
            assert_one_line(caught.value, str(path), "100000 x 100000", "limit")


def test_the_limit_does_not_hang_on_pillows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(InputError, match="100000 x 100000"):
        read_image(huge_png(tmp_path / "bomb.png"))


def test_other_formats_are_held_to_the_limit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.jpg", pixels(0))
    monkeypatch.setattr(containers, "MAX_PIXELS", 95)
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert_one_line(caught.value, "12 x 8")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert_one_line(caught.value, str(path), "more than 95 pixels")


def test_files_that_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    for name, reason in (("text.png", "known format"), ("empty.png", "an empty file")):
        with pytest.raises(InputError) as caught:
            read_image(tmp_path / name)
        assert_one_line(caught.value, name, reason)
    with pytest.raises(InputError) as caught:
        read_image(tmp_path / "folder.png")
    assert_one_line(caught.value, "folder.png", "cannot be read")
    with pytest.raises(InputError) as caught:
        read_image(tmp_path / "absent.png")
    assert_one_line(caught.value, "absent.png", "no such file")


def test_postscript_is_never_started(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n%%EOF\n"
    )
    with pytest.raises(InputError, match="known format"):
        read_image(tmp_path / "a.png")


def test_pixels_are_used_as_stored_whatever_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels(5)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), pixels(5))
    assert read_header(tmp_path / "a.png").orientation == 6
    assert read_header(save(tmp_path / "b.png", pixels(5))).orientation == 1


def test_grey_and_palette_labels_give_their_numbers(tmp_path: Path) -> None:
    expected = ids(1, count=256)
    assert np.array_equal(read_label(save(tmp_path / "grey.png", expected), "ids"), expected)
    palette = Image.fromarray(expected, mode="L").convert("P")
    palette.putdata(expected.ravel().tolist())
    palette.putpalette([value for color in range(256) for value in (255 - color, color, 7)])
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(read_label(tmp_path / "palette.png", "ids"), expected)


@pytest.mark.parametrize("bit_depth", [1, 2, 4])
@pytest.mark.parametrize("color_type", [0, 3])
def test_labels_of_few_bits_are_not_stretched(tmp_path: Path, bit_depth: int, color_type: int) -> None:
    expected = ids(1, width=8, height=4, count=2**bit_depth)
    if color_type == 3:
        image = Image.fromarray(expected, mode="L").convert("P")
        image.putdata(expected.ravel().tolist())
        image.putpalette([value for color in range(2**bit_depth) for value in (color, 0, 0)])
        image.save(tmp_path / "a.png", bits=bit_depth)
    else:
        per_byte = 8 // bit_depth
        grouped = expected.reshape(4, -1, per_byte).astype(int)
        shifts = [8 - bit_depth * (place + 1) for place in range(per_byte)]
        rows = sum(grouped[..., place] << shift for place, shift in enumerate(shifts)).astype(np.uint8)
        png(tmp_path / "a.png", rows.tobytes(), 8, 4, bit_depth, 0)
    assert np.array_equal(read_label(tmp_path / "a.png", "ids"), expected)


def test_sixteen_bit_ids(tmp_path: Path) -> None:
    expected = np.array([[0, 255, 256], [7000, 65534, 65535]], np.uint16)
    assert np.array_equal(read_label(save(tmp_path / "a.png", expected), "ids"), expected)


def test_thirty_two_bit_ids_are_refused_beyond_65535(tmp_path: Path) -> None:
    within = save(tmp_path / "a.tiff", np.array([[3, 40000]], np.int32))
    assert read_label(within, "ids").tolist() == [[3, 40000]]
    beyond = save(tmp_path / "b.tiff", np.array([[3, 70000]], np.int32))
    with pytest.raises(InputError) as caught:
        read_label(beyond, "ids")
    assert_one_line(caught.value, "70000", "0..65535")


def test_synthias_labels_keep_their_low_bytes(tmp_path: Path) -> None:
    # Three 16-bit channels: class, instance, unused. Pillow's own RGB keeps the high bytes, all zero here.
    classes = np.array([[1, 3, 21], [8, 0, 19]], np.uint16)
    instances = np.array([[5, 300, 0], [0, 1, 2]], np.uint16)
    cube = np.stack([classes, instances, np.zeros_like(classes)], axis=-1).astype(">u2")
    path = png(tmp_path / "synthia.png", cube.tobytes(), 3, 2, 16, 2)
    assert not np.asarray(Image.open(path).convert("RGB"))[..., 0].any()
    assert np.array_equal(read_label(path, "ids", channel=0), classes)
    assert np.array_equal(read_label(path, "ids", channel=1), instances)
    with pytest.raises(InputError) as caught:
        read_label(path, "ids")
    assert_one_line(caught.value, "3 channels", "channel: 0")
    with pytest.raises(InputError) as caught:
        read_label(path, "rgb")
    assert_one_line(caught.value, "16-bit", "kind: ids")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError) as caught:
        read_label(path, "ids", channel=0)
    assert_one_line(caught.value, str(path), "truncated or broken")


def test_one_channel_of_an_eight_bit_color_label(tmp_path: Path) -> None:
    path = save(tmp_path / "carla.png", pixels(4))
    for channel in range(3):
        assert np.array_equal(read_label(path, "ids", channel), pixels(4)[..., channel])
    with pytest.raises(InputError) as caught:
        read_label(path, "ids", 3)
    assert_one_line(caught.value, "3 channel(s)", "`labels.channel` = 3")


def test_a_color_label_with_kind_ids_names_the_remedies(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", pixels(4))
    for kind in ("ids", "train_ids"):
        with pytest.raises(InputError) as caught:
            read_label(path, kind)
        assert_one_line(caught.value, str(path), f"`labels.kind` is {kind}", "kind: rgb", "channel: 0")


def test_color_labels_are_coded(tmp_path: Path) -> None:
    colors = pixels(6)
    expected = [[(int(r) << 16) + (int(g) << 8) + int(b) for r, g, b in row] for row in colors]
    assert read_label(save(tmp_path / "a.png", colors), "rgb").tolist() == expected
    Image.fromarray(colors).quantize(8).save(tmp_path / "p.png")
    assert read_label(tmp_path / "p.png", "rgb").shape == colors.shape[:2]


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_kind_rgb_needs_three_channels(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(InputError) as caught:
        read_label(tmp_path / "a.png", "rgb")
    assert_one_line(caught.value, f"mode {mode}", "8-bit RGB")


def test_jpeg_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_label(save(tmp_path / "a.jpg", ids(0)), "ids")
    assert_one_line(caught.value, "JPEG", "PNG")


def test_a_float_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mode F"):
        read_label(save(tmp_path / "a.tiff", np.zeros((2, 2), np.float32)), "ids")
