"""Containers x modes x depths x compressions: every row is read pixel by pixel, or refused by name."""

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segshift.data.containers import read_header
from segshift.data.images import conversion, read_image
from segshift.data.label_files import check_label, read_label
from segshift.errors import InputError
from tests.data.files import assert_one_line, pixels, png

IDS = np.array([[0, 1, 2, 3], [4, 5, 6, 7]], np.uint8)
DEEP = np.array([[0, 7, 255, 256], [4095, 40000, 65534, 65535]], np.uint16)
CHANNELS = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], axis=-1)


def tiff(
    rows: list[bytes], *, bits: int, channels: int = 1, photometric: int = 1, order: str = "<",
    planes: int = 1, width: int = 4, signed: bool = False, alpha: bool = False, largest: int | None = None,
    compression: int = 1,
) -> bytes:  # fmt: skip
    """An uncompressed TIFF of strips, written tag by tag, for what no library writes."""
    height = len(rows) // (channels if planes == 2 else 1)
    strips = [b"".join(rows[k * height : (k + 1) * height]) for k in range(len(rows) // height)]
    tags: dict[int, tuple[str, list[int]]] = {
        256: ("I", [width]), 257: ("I", [height]), 258: ("H", [bits] * channels), 259: ("H", [compression]),
        262: ("H", [photometric]), 273: ("I", [0] * len(strips)), 277: ("H", [channels]),
        278: ("I", [height]), 279: ("I", [len(one) for one in strips]), 284: ("H", [planes]),
    }  # fmt: skip
    if signed:
        tags[339] = ("H", [2] * channels)
    if alpha:
        tags[338] = ("H", [2])
    if largest is not None:
        tags[281] = ("H", [largest] * channels)
    after = 8 + 2 + 12 * len(tags) + 4
    blob = b"".join(strips)
    tags[273] = ("I", [after + sum(map(len, strips[:k])) for k in range(len(strips))])
    entries = b""
    for tag, (form, values) in sorted(tags.items()):
        data = struct.pack(f"{order}{len(values)}{form}", *values)
        if len(data) > 4:
            place, blob = after + len(blob), blob + data
            data = struct.pack(f"{order}I", place)
        kind = 3 if form == "H" else 4
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + data.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4) + blob


def pillow(array: NDArray, form: str, mode: str | None = None, **settings: object) -> bytes:
    image = Image.fromarray(array)
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, form, **settings)
    return stream.getvalue()


def opencv(array: NDArray, suffix: str, *settings: int) -> bytes:
    given = array[..., [2, 1, 0, 3][: array.shape[2]]] if array.ndim == 3 else array
    return bytes(cv2.imencode(suffix, given, settings)[1])


def packed(values: NDArray, bits: int) -> list[bytes]:
    """Rows of numbers of 1 to 12 bits, padded to whole bytes."""
    texts = ["".join(f"{value:0{bits}b}" for value in row) for row in values.tolist()]
    return [
        int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big") for text in texts
    ]


def pnm(magic: str, values: NDArray, top: int) -> bytes:
    height, width = values.shape[:2]
    head = f"{magic}\n# made by a test\n{width} {height}\n{top}\n".encode()
    if magic in ("P2", "P3"):
        return head + " ".join(map(str, values.ravel().tolist())).encode()
    return head + values.astype(">u2" if top > 255 else "u1").tobytes()


def rows(values: NDArray, dtype: str) -> list[bytes]:
    return [row.astype(dtype).tobytes() for row in values]


TIFF_COMPRESSIONS = {"none": 1, "lzw": 5, "deflate": 8, "packbits": 32773}
LABELS: dict[str, tuple[Callable[[], bytes], NDArray, int | None]] = {
    "png 8": (lambda: pillow(IDS, "PNG"), IDS, None),
    "png 16": (lambda: pillow(DEEP, "PNG"), DEEP, None),
    "png 16 by opencv": (lambda: opencv(DEEP, ".png"), DEEP, None),
    "png 16 x 3": (lambda: opencv(CHANNELS, ".png"), DEEP, 0),
    "png 16 x 4": (lambda: opencv(np.dstack([CHANNELS, DEEP]), ".png"), DEEP, 0),
    "png 8 x 3": (lambda: pillow(np.dstack([IDS] * 3), "PNG"), IDS, 0),
    "png grey and alpha": (lambda: pillow(IDS, "PNG", "LA"), IDS, 0),
    "bmp 8": (lambda: pillow(IDS, "BMP"), IDS, None),
    "lossless webp": (lambda: pillow(np.dstack([IDS] * 3), "WEBP", lossless=True), IDS, 0),
    "lossless webp with alpha": (
        lambda: pillow(np.dstack([IDS] * 3 + [np.full_like(IDS, 9)]), "WEBP", lossless=True, exact=True),
        IDS,
        0,
    ),
    **{
        f"tiff 8 {name}": (
            lambda number=number: opencv(IDS, ".tif", cv2.IMWRITE_TIFF_COMPRESSION, number),
            IDS,
            None,
        )
        for name, number in TIFF_COMPRESSIONS.items()
    },
    **{
        f"tiff 16 {name}": (
            lambda number=number: opencv(DEEP, ".tif", cv2.IMWRITE_TIFF_COMPRESSION, number),
            DEEP,
            None,
        )
        for name, number in TIFF_COMPRESSIONS.items()
    },
    **{
        f"tiff 16 x 3 {name}, channel {channel}": (
            lambda number=number: opencv(CHANNELS, ".tif", cv2.IMWRITE_TIFF_COMPRESSION, number),
            CHANNELS[..., channel],
            channel,
        )
        for name, number in TIFF_COMPRESSIONS.items()
        for channel in range(3)
    },
    "tiff 16 x 4": (lambda: opencv(np.dstack([CHANNELS, DEEP]), ".tif"), DEEP, 0),
    "tiff 16 x 3 big-endian": (
        lambda: tiff(rows(CHANNELS, ">u2"), bits=16, channels=3, photometric=2, order=">"),
        DEEP,
        0,
    ),
    "tiff 16 big-endian": (lambda: tiff(rows(DEEP, ">u2"), bits=16, order=">"), DEEP, None),
    "tiff 12": (lambda: tiff(packed(np.minimum(DEEP, 4095), 12), bits=12), np.minimum(DEEP, 4095), None),
    "tiff 4": (lambda: tiff(packed(IDS, 4), bits=4), IDS, None),
    "tiff 2": (lambda: tiff(packed(IDS % 4, 2), bits=2), IDS % 4, None),
    "tiff 1": (lambda: tiff(packed(IDS % 2, 1), bits=1), IDS % 2, None),
    "tiff 32": (lambda: tiff(rows(DEEP, "<u4"), bits=32), DEEP, None),
    "tiff 8 x 3 in planes": (
        lambda: tiff(
            [row for k in range(3) for row in rows(IDS + k, "u1")],
            bits=8,
            channels=3,
            photometric=2,
            planes=2,
        ),
        IDS + 1,
        1,
    ),
    "tiff 8 palette": (lambda: pillow(IDS, "TIFF", "P"), IDS, None),
    "pgm 255": (lambda: pnm("P5", IDS, 255), IDS, None),
    "pgm 7": (lambda: pnm("P5", IDS, 7), IDS, None),
    "pgm 18, plain": (lambda: pnm("P2", IDS, 18), IDS, None),
    "pgm 65535": (lambda: pnm("P5", DEEP, 65535), DEEP, None),
    "pgm 4095": (lambda: pnm("P5", np.minimum(DEEP, 4095), 4095), np.minimum(DEEP, 4095), None),
    "pgm 1000, plain": (lambda: pnm("P2", np.minimum(DEEP, 1000), 1000), np.minimum(DEEP, 1000), None),
    "ppm 20": (lambda: pnm("P6", np.dstack([IDS, IDS + 1, IDS + 2]), 20), IDS + 2, 2),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_come_back_as_the_numbers_that_were_stored(tmp_path: Path, name: str) -> None:
    content, expected, channel = LABELS[name]
    # A suffix says nothing: the content is judged.
    path = tmp_path / "label.png"
    path.write_bytes(content())
    found = read_label(path, "ids", channel)
    assert found.tolist() == expected.tolist()
    assert check_label(path, "ids", channel).size == (4, 2)


REFUSED: dict[str, tuple[Callable[[], bytes], tuple[str, ...]]] = {
    "jpeg": (lambda: pillow(IDS, "JPEG"), ("a JPEG label", "PNG")),
    "several jpegs": (
        lambda: pillow(IDS, "MPO", "RGB", save_all=True, append_images=[Image.new("RGB", (4, 2))]),
        ("a JPEG label", "PNG"),
    ),
    "jpeg in tiff": (lambda: pillow(IDS, "TIFF", compression="jpeg"), ("TIFF with JPEG compression", "PNG")),
    "webp in tiff": (
        lambda: tiff(rows(IDS, "u1"), bits=8, compression=50001),
        ("TIFF with WebP compression", "PNG"),
    ),
    "lossy webp": (lambda: pillow(pixels(1), "WEBP", quality=95), ("a lossy WebP label", "PNG")),
    "lossy webp with alpha": (lambda: pillow(pixels(1), "WEBP", "RGBA", quality=95), ("a lossy WebP label",)),
    "lossy webp, animated": (
        lambda: pillow(pixels(1), "WEBP", save_all=True, append_images=[Image.fromarray(pixels(2))]),
        ("a lossy WebP label",),
    ),
    "jpeg 2000": (lambda: pillow(pixels(1), "JPEG2000", irreversible=True), ("a JPEG 2000 picture", "PNG")),
    "avif": (lambda: pillow(pixels(1), "AVIF"), ("an AVIF picture", "PNG")),
    "heic": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ("a HEIC photo", "PNG")),
    "gif": (lambda: pillow(IDS, "GIF"), ("a GIF picture", "PNG")),
    "tiff 16 x 3 in planes": (
        lambda: tiff(
            [row for k in range(3) for row in rows(DEEP, "<u2")], bits=16, channels=3, photometric=2, planes=2
        ),
        ("16-bit TIFF whose channels are stored one after another", "PNG"),
    ),
    "tiff, 0 is white": (lambda: tiff(rows(IDS, "u1"), bits=8, photometric=0), ("0 is white", "PNG")),
    "pbm": (lambda: b"P4\n8 1\n\x0f", ("0 is white", "PNG")),
    "tiff, signed 8": (lambda: tiff(rows(IDS, "u1"), bits=8, signed=True), ("signed", "PNG")),
    "tiff, below 0": (
        lambda: tiff(rows(IDS.astype(int) - 3, "<i2"), bits=16, signed=True),
        ("-3 to 4", "0..65535"),
    ),
    "tiff of two pages": (
        lambda: pillow(IDS, "TIFF", save_all=True, append_images=[Image.fromarray(IDS)]),
        ("2 pictures", "PNG"),
    ),
    "ppm 1000": (lambda: pnm("P6", CHANNELS % 1000, 1000), ("16-bit", "PPM", "PNG")),
    "png grey and alpha of 16 bits": (lambda: png_bytes(16, 4, DEEP), ("16-bit", "PNG")),
    "png cmyk": (lambda: pillow(pixels(1), "TIFF", "CMYK"), ("CMYK", "PNG")),
}


def png_bytes(bits: int, color_type: int, values: NDArray) -> bytes:
    path = Path(os.environ["PYTEST_TMP"]) / "made.png"
    both = np.stack([values, np.full_like(values, 65535)], axis=-1)
    return png(path, both.astype(">u2").tobytes(), 4, 2, bits, color_type).read_bytes()


@pytest.mark.parametrize("name", REFUSED)
def test_labels_that_may_not_be_as_they_were_are_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_TMP", str(tmp_path))
    content, words = REFUSED[name]
    path = tmp_path / "label.png"
    path.write_bytes(content())
    with pytest.raises(InputError) as caught:
        read_label(path, "ids", 0)
    assert_one_line(caught.value, str(path), *words)


def test_colors_of_labels(tmp_path: Path) -> None:
    colors = pixels(1)
    coded = (colors.astype(int) @ [65536, 256, 1]).tolist()
    opaque = np.dstack([colors, np.full(colors.shape[:2], 255, np.uint8)])
    for content in (
        pillow(opaque, "PNG"),
        opencv(colors, ".tif"),
        pillow(colors, "WEBP", lossless=True),
        pillow(colors, "BMP"),
    ):
        (tmp_path / "a").write_bytes(content)
        assert read_label(tmp_path / "a", "rgb").tolist() == coded
    opaque[0, 0, 3] = 254
    (tmp_path / "a").write_bytes(pillow(opaque, "PNG"))
    with pytest.raises(InputError) as caught:
        read_label(tmp_path / "a", "rgb")
    assert_one_line(caught.value, "RGBA", "no alpha")
    (tmp_path / "a").write_bytes(pillow(colors, "TIFF", compression="jpeg"))
    with pytest.raises(InputError, match="whose colors compression has changed"):
        read_label(tmp_path / "a", "rgb")


RGB = pixels(3, 4, 2)
RAMP = np.array([[0, 1, 2000, 4095], [4000, 3, 100, 2048]], np.uint16)


def shown(values: NDArray, top: int) -> NDArray:
    grey = np.floor(values.astype(float) * 255 / top + 0.5).astype(int)
    return np.dstack([grey] * 3) if values.ndim == 2 else grey


def with_sbit(bits: int, values: NDArray) -> bytes:
    data = pillow(values, "PNG")
    chunk = b"sBIT" + bytes([bits])
    import zlib

    return data[:33] + struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


IMAGES: dict[str, tuple[Callable[[], bytes], NDArray, str]] = {
    "png": (lambda: pillow(RGB, "PNG"), RGB, ""),
    "png, opaque alpha": (lambda: pillow(RGB, "PNG", "RGBA"), RGB, "RGBA"),
    "webp, opaque alpha": (lambda: pillow(RGB, "WEBP", "RGBA", lossless=True), RGB, ""),
    "tiff, opaque alpha": (lambda: pillow(RGB, "TIFF", "RGBA"), RGB, "RGBA"),
    "bmp, opaque alpha": (
        lambda: opencv(np.dstack([RGB, np.full((2, 4), 255, np.uint8)]), ".bmp"),
        RGB,
        "RGBA",
    ),
    "grey": (lambda: pillow(IDS, "PNG"), np.dstack([IDS] * 3), "grey"),
    "grey, opaque alpha": (lambda: pillow(IDS, "PNG", "LA"), np.dstack([IDS] * 3), "LA"),
    "grey tiff": (lambda: pillow(IDS, "TIFF"), np.dstack([IDS] * 3), "grey"),
    "grey, 0 is white": (
        lambda: tiff(rows(IDS, "u1"), bits=8, photometric=0),
        255 - np.dstack([IDS] * 3),
        "grey",
    ),
    "black and white": (
        lambda: b"P4\n4 1\n\x50",
        np.repeat([[[255], [0], [255], [0]]], 3, axis=2),
        "black and white",
    ),
    "palette": (
        lambda: pillow(np.dstack([IDS * 30] * 3), "PNG", "P"),
        np.asarray(Image.fromarray(np.dstack([IDS * 30] * 3)).convert("P").convert("RGB")),
        "palette",
    ),
    "cmyk": (
        lambda: pillow(np.zeros((2, 4, 3), np.uint8) + 200, "TIFF", "CMYK"),
        np.zeros((2, 4, 3), int) + 200,
        "CMYK",
    ),
    "16-bit grey": (lambda: pillow(DEEP, "PNG"), shown(DEEP, 65535), "16-bit"),
    "16-bit colors": (lambda: opencv(CHANNELS, ".png"), shown(CHANNELS, 65535), "16-bit"),
    "16-bit colors, opaque alpha": (
        lambda: opencv(np.dstack([CHANNELS, np.full((2, 4), 65535, np.uint16)]), ".png"),
        shown(CHANNELS, 65535),
        "16-bit",
    ),
    "16-bit tiff": (lambda: opencv(CHANNELS, ".tif"), shown(CHANNELS, 65535), "16-bit"),
    "12 bits in a 16-bit png": (lambda: pillow(RAMP, "PNG"), shown(RAMP, 4095), "16-bit"),
    "12 bits in a 16-bit tiff": (
        lambda: opencv(np.dstack([RAMP] * 3), ".tif"),
        shown(np.dstack([RAMP] * 3), 4095),
        "16-bit",
    ),
    "12 bits told by sBIT": (lambda: with_sbit(12, RAMP // 2), shown(RAMP // 2, 4095), "12-bit"),
    "12-bit tiff": (lambda: tiff(packed(RAMP // 2, 12), bits=12), shown(RAMP // 2, 4095), "12-bit"),
    "12 bits told by tiff": (
        lambda: tiff(rows(RAMP // 2, "<u2"), bits=16, largest=4095),
        shown(RAMP // 2, 4095),
        "12-bit",
    ),
    "8 bits in a 16-bit png": (
        lambda: pillow(IDS.astype(np.uint16) * 30, "PNG"),
        shown(IDS * 30, 255),
        "16-bit",
    ),
    "pgm 4095": (lambda: pnm("P5", RAMP // 2, 4095), shown(RAMP // 2, 4095), "12-bit"),
    "ppm 4095": (
        lambda: pnm("P6", np.dstack([RAMP // 2] * 3), 4095),
        shown(np.dstack([RAMP // 2] * 3), 4095),
        "12-bit",
    ),
    "pgm 7": (lambda: pnm("P5", IDS, 7), shown(IDS, 7), "grey"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_become_eight_bit_rgb(tmp_path: Path, name: str) -> None:
    content, expected, words = IMAGES[name]
    path = tmp_path / "image.png"
    path.write_bytes(content())
    found = read_image(path)
    assert found.dtype == np.uint8
    assert found.tolist() == expected.tolist()
    assert conversion(read_header(path)) == words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: pillow(np.zeros((2, 4), np.float32), "TIFF"), "mode F"),
        (lambda: tiff(rows(DEEP, "<u4"), bits=32), "32-bit"),
        (lambda: pillow(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(RGB)]), "2 pictures"),
        (lambda: opencv(np.dstack([CHANNELS, DEEP]), ".png"), "transparency"),
        (lambda: pillow(np.dstack([RGB, IDS]), "PNG"), "transparency"),
        (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (lambda: pillow(RGB, "TIFF", "LAB"), "mode LAB"),
    ],
)
def test_images_that_do_not_convert_without_doubt_are_refused(
    tmp_path: Path, content: Callable[[], bytes], words: str
) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(content())
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert_one_line(caught.value, str(path), words, "convert")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_turns_as_exif_says(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = pixels(7, 5, 3)
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    turned = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1],
        5: stored.transpose(1, 0, 2), 6: np.rot90(stored, -1), 7: np.rot90(stored, 2).transpose(1, 0, 2),
        8: np.rot90(stored),
    }  # fmt: skip
    assert read_image(tmp_path / "a.png", upright=True).tolist() == turned[orientation].tolist()
    assert read_image(tmp_path / "a.png").tolist() == stored.tolist()


def test_pipes_sockets_and_devices_are_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    for name, kind in (("a.png", "a named pipe"), ("b.png", "a device")):
        for read in (read_image, lambda path: read_label(path, "ids")):
            with pytest.raises(InputError) as caught:
                read(tmp_path / name)
            assert_one_line(caught.value, name, kind, "not a regular file")
