"""Small data sets on disk, whole and broken, for the tests of the data layer."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

CLASSES = ["floor", "rack", "person"]
WIDTH, HEIGHT = 12, 8


def pixels(seed: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """(H, W, 3) random colors."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def ids(seed: int, width: int = WIDTH, height: int = HEIGHT, count: int = len(CLASSES)) -> NDArray[np.uint8]:
    """(H, W) random train ids."""
    return np.random.default_rng(seed).integers(0, count, (height, width), np.uint8)


def save(path: Path, array: NDArray[Any]) -> Path:
    """The array as an image file of the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def png(path: Path, rows: bytes, width: int, height: int, bit_depth: int, color_type: int) -> Path:
    """A PNG written chunk by chunk, for what Pillow does not write; `rows` are unfiltered scan lines."""
    length = len(rows) // max(1, height)
    lines = b"".join(b"\0" + rows[start : start + length] for start in range(0, len(rows), max(1, length)))
    header = struct.pack(">IIBBBBB", width, height, bit_depth, color_type, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
            stream.write(
                struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            )
    return path


def huge_png(path: Path) -> Path:
    """A few bytes that claim 100 000 x 100 000 pixels."""
    return png(path, b"", 100_000, 100_000, 8, 2)


def truncated(path: Path, *, color: bool = True) -> Path:
    """A file that ends in the middle of its pixels: an image or, without `color`, a label."""
    stream = io.BytesIO()
    Image.fromarray(pixels(0, 64, 64) if color else ids(0, 64, 64)).save(
        stream, format="JPEG" if path.suffix == ".jpg" else "PNG"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    return path


def description(**changes: Any) -> dict[str, Any]:
    """The YAML of `dataset`, with keys replaced (None removes one)."""
    data: dict[str, Any] = {
        "name": "warehouse",
        "splits": {
            "train": {"images": "rgb/train/*.png", "labels": "mask/train/{stem}_id.png"},
            "val": {"images": "rgb/val/*.png", "labels": "mask/val/{stem}_id.png"},
        },
        "classes": CLASSES,
    }
    data |= changes
    return {key: value for key, value in data.items() if value is not None}


def write_yaml(path: Path, data: dict[str, Any]) -> Path:
    """The data as a YAML file."""
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def dataset(folder: Path, *, train: int = 3, val: int = 2, **changes: Any) -> Path:
    """A data set of random images with random train ids; returns its YAML."""
    for split, count in (("train", train), ("val", val)):
        for index in range(count):
            # Splits that hold the same images would be a finding of the check.
            save(folder / f"rgb/{split}/{index:03}.png", pixels(index + (500 if split == "val" else 0)))
            save(folder / f"mask/{split}/{index:03}_id.png", ids(index))
    folder.mkdir(parents=True, exist_ok=True)
    return write_yaml(folder / "warehouse.yaml", description(**changes))


def assert_one_line(error: BaseException, *parts: str) -> None:
    """The message is one line and holds every part."""
    message = str(error)
    assert "\n" not in message, message
    for part in parts:
        assert part in message, f"{part!r} is not in: {message}"
