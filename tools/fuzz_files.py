"""Damaged files for `tools/fuzz.py`: images, labels, model files and public weights, byte by byte."""

import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from segshift.data.decoder import LabelRule, build_decoder
from segshift.data.images import check_image, read_image
from segshift.data.label_files import LabelKind
from segshift.data.labels import class_set
from segshift.models import Segmenter, load
from segshift.models.public_checkpoints import import_checkpoint
from segshift.models.weights import read_state

Case = tuple[str, bytes]
"""A file's suffix and what it holds."""
Kinds = Mapping[str, tuple[st.SearchStrategy[Case], Callable[[Case], object]]]

CLASSES = class_set(("floor", "rack", "pallet"))
MAP: dict[int | str, str | int] = {7: "floor", 11: "rack", 300: "pallet"}
COLORS: dict[int | str, str | int] = {"128,64,128": "floor", "0,0,0": "rack", "9,9,9": "pallet"}


def pictures() -> list[Case]:
    """A sound file of every container, mode and compression that is read, 12 x 9 px each."""
    chance = np.random.default_rng(0)
    rgb = chance.integers(0, 256, (9, 12, 3), np.uint8)
    deep = chance.integers(0, 2**16, (9, 12), np.uint16)
    color, grey = Image.fromarray(rgb), Image.fromarray(rgb[..., 0])
    ways: list[tuple[str, Image.Image, dict[str, Any]]] = [
        *((".png", one, {}) for one in (color, grey, color.convert("P"), grey.convert("1"))),
        *((".png", one, {}) for one in (color.convert("RGBA"), grey.convert("LA"), Image.fromarray(deep))),
        (".jpg", color, {}),
        (".jpg", grey, {"progressive": True}),
        (".jpg", color.convert("CMYK"), {}),
        (".webp", color, {"lossless": True}),
        (".webp", color.convert("RGBA"), {}),
        (".bmp", color, {}),
        (".bmp", color.convert("P"), {}),
        *((".tif", color, {"compression": how}) for how in ("raw", "tiff_lzw", "tiff_adobe_deflate")),
        (".tif", Image.fromarray(deep), {}),
        (".ppm", color, {}),
        (".ppm", grey, {}),
    ]
    return [(suffix, _saved(image, suffix, options)) for suffix, image, options in ways]


def labels(kind: LabelKind) -> list[Case]:
    """Sound label files: ids of 8 and 16 bits and by a palette, or colors and these by a palette."""
    chance = np.random.default_rng(1)
    ids = chance.choice(np.array([7, 11, 5], np.uint8), (9, 12))
    colors = np.array([[128, 64, 128], [0, 0, 0], [9, 9, 9]], np.uint8)[ids % 3]
    if kind == "rgb":
        images = [
            Image.fromarray(colors),
            Image.fromarray(colors).convert("P", palette=Image.Palette.ADAPTIVE),
        ]
    else:
        palette = Image.fromarray(ids).convert("P")
        deep = chance.choice(np.array([7, 300, 60000], np.uint16), (9, 12))
        images = [Image.fromarray(ids), Image.fromarray(deep), palette]
    return [(suffix, _saved(image, suffix, {})) for image in images for suffix in (".png", ".tif")]


def _saved(image: Image.Image, suffix: str, options: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    image.save(stream, {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper()), **options)
    return stream.getvalue()


def damaged_bytes(data: bytes, chance: random.Random) -> bytes:
    """`data` cut off, or with bits turned, numbers exchanged, parts left out, doubled or moved."""
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        if not data:
            break
        # Headers are where programs break.
        start = chance.randrange(min(len(data), chance.choice((64, 256, len(data)))))
        length = chance.choice((1, 2, 4, 8, 64))
        match chance.randrange(6):
            case 0:
                data = data[:start]
            case 1:
                turned = data[start] ^ 1 << chance.randrange(8)
                data = data[:start] + bytes([turned]) + data[start + 1 :]
            case 2:
                number = chance.choice((0, 1, 0x7F, 0x80, 0xFF)).to_bytes(1, "big") * length
                data = data[:start] + number + data[start + length :]
            case 3:
                data = data[:start] + data[start + length :]
            case 4:
                data = data[: start + length] + data[start:]
            case _:
                other = chance.randrange(len(data))
                data = data[:start] + data[other : other + length] + data[start + length :]
    # Otherwise the checksums hide what lies behind them.
    return _with_checksums(data) if chance.random() < 0.5 else data


def _with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks' checksums fit again; other files as they are."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    made, place = data[:8], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        if place + 12 + length > len(data):
            break
        chunk = data[place + 4 : place + 8 + length]
        made += data[place : place + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        place += 12 + length
    return made + data[place:]


def files(bases: list[Case]) -> st.SearchStrategy[Case]:
    """Damaged copies of some files; one in 16 gets another one's suffix or any bytes at all."""

    def made(number: int, noise: bytes) -> Case:
        chance = random.Random(number)
        suffix, data = chance.choice(bases)
        if chance.random() < 1 / 16:
            return chance.choice(bases)[0], chance.choice((data, noise))
        return suffix, damaged_bytes(data, chance)

    return st.builds(made, st.integers(0, 2**40), st.binary(max_size=64))


class MetadataExchanged:
    """Files of safetensors like a given one with other metadata, made without writing its tensors anew."""

    def __init__(self, data: bytes) -> None:
        (length,) = struct.unpack("<Q", data[:8])
        self._header, self._tensors = json.loads(data[8 : 8 + length]), data[8 + length :]

    def __call__(self, metadata: Mapping[str, str]) -> bytes:
        """The whole file."""
        header = json.dumps({**self._header, "__metadata__": metadata}).encode()
        return struct.pack("<Q", len(header)) + header + self._tensors


def file_kinds(folder: Path, segmenter: Segmenter) -> Kinds:
    """Per kind of file its cases, and what reads one; files lie in `folder`."""
    ids = build_decoder(LabelRule(kind="ids", map=MAP), CLASSES, "data.yaml")
    colors = build_decoder(LabelRule(kind="rgb", map=COLORS, other="error"), CLASSES, "data.yaml")

    def written(name: str, case: Case) -> Path:
        path = folder / f"{name}{case[0]}"
        path.write_bytes(case[1])
        return path

    def image(case: Case) -> object:
        path = written("image", case)
        check_image(path)
        pixels = read_image(path, upright=True)
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
        return pixels

    def label(decode: Callable[[Path], NDArray[np.uint8]]) -> Callable[[Case], object]:
        def read(case: Case) -> object:
            train_ids = decode(written("label", case))
            assert set(np.unique(train_ids)) <= {0, 1, 2, 255}
            return train_ids

        return read

    segmenter.save(folder / "sound.safetensors")
    model = (".safetensors", (folder / "sound.safetensors").read_bytes())
    state = {"state_dict": {name: torch.ones(2, 3) for name in ("module.layer.weight", "module.layer.bias")}}
    torch.save(state, folder / "sound.pth")
    weights = (".pth", (folder / "sound.pth").read_bytes())

    def public(case: Case) -> object:
        return import_checkpoint(written("public", case), "adaptsegnet", class_set("cityscapes19"))

    return {
        "image files": (files(pictures()), image),
        "label files": (files(labels("ids")), label(ids.read)),
        "color labels": (files(labels("rgb")), label(colors.read)),
        "model files": (files([model]), lambda case: load(written("model", case))),
        "weight files": (files([weights, model]), lambda case: read_state(written("weights", case))),
        "public weights": (files([weights]), public),
    }
