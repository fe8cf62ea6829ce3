"""Opening image files: what a header says is judged before a pixel is decoded, failures are one line."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from segshift.errors import InputError
from segshift.files import refuse_special

MAX_PIXELS = 150_000_000
"""Larger files are refused unread. It is below Pillow's own limit, whose handling depends on global state."""

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")
"""The formats that are tried. Pillow knows more, some of which start other programs."""

# What other files begin with (from a byte on), so that messages can name them.
_OTHER_KINDS = (
    (4, b"ftyphei", "a HEIC photo"),
    (4, b"ftyphev", "a HEIC photo"),
    (4, b"ftypmif1", "a HEIF photo"),
    (4, b"ftypavi", "an AVIF picture"),
    (4, b"ftyp", "a video"),
    (4, b"jP  \r\n\x87\n", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (4, b"JXL \r\n\x87\n", "a JPEG XL picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"\x76\x2f\x31\x01", "an EXR picture"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"%PDF", "a PDF file"),
    (0, b"PK\x03\x04", "an archive"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"version https://git-lfs", "a Git LFS pointer"),
    (0, b"II*\0", "a TIFF of a kind that is not read"),
    (0, b"MM\0*", "a TIFF of a kind that is not read"),
)
_LOSSLESS_TIFF = {
    1: "none", 2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 8: "deflate", 32773: "PackBits",
    32946: "deflate", 34925: "LZMA", 50000: "Zstandard",
}  # fmt: skip
_LOSSY_TIFF = {6: "JPEG", 7: "JPEG", 34892: "JPEG", 34712: "JPEG 2000", 50001: "WebP", 34887: "LERC"}
_COMPRESSION, _PHOTOMETRIC, _BITS, _PLANES, _SIGNED = 259, 262, 258, 284, 339
_LARGEST, _PAGE_KIND, _ORIENTATION = 281, 254, 0x0112
# What Pillow's decoders raise on broken files.
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Header:
    """What an image file says about its pixels before they are decoded.

    Attributes:
        container: PNG, JPEG, WEBP, BMP, TIFF or PPM (all of PBM, PGM and PPM).
        mode: Pillow's, after decoding: L, P, RGB, I;16 ...
        size: (width, height) in px as stored.
        bits: of one stored sample.
        top: the largest value that a sample may have if the file says so, else 2 ** bits - 1.
        top_is_told: whether the file itself limits its values (a PGM's maximum, a PNG's sBIT, 12-bit TIFF).
        lossy: the compression that changes values, in words; empty for lossless files.
        odd: why no value can be trusted (stored in a way that decoders misread), in words; empty if none.
        white_is_zero: whether 0 is white, so that stored numbers and shown values run opposite ways.
        pages: pictures in the file, previews and smaller copies not counted.
        orientation: EXIF, 1 (as stored) to 8.
    """

    container: str
    mode: str
    size: tuple[int, int]
    bits: int = 8
    top: int = 255
    top_is_told: bool = False
    lossy: str = ""
    odd: str = ""
    white_is_zero: bool = False
    pages: int = 1
    orientation: int = 1


@contextmanager
def open_picture(path: Path) -> Iterator[tuple[ImageFile, Header]]:
    """An image file, opened but not decoded, and its header.

    Raises:
        InputError: a file that is missing, not a regular file, empty, of an unknown format, broken, or that
            claims more than `MAX_PIXELS`; also when the block fails to decode it.
    """
    head = _head(path)
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 26:
        _refuse_large(path, *struct.unpack(">II", head[16:24]))
    try:
        with Image.open(path, formats=FORMATS) as image:
            _refuse_large(path, *image.size)
            with path.open("rb") as stream:
                header = _header_of(image, stream)
            yield image, header
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            f"{path}: claims more than {MAX_PIXELS} pixels; split or shrink the image, or replace "
            f"the damaged file"
        ) from None
    except UnidentifiedImageError:
        raise InputError(_unknown(path, head)) from None
    except _DECODING_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: truncated or broken ({reason}); replace the file") from None


def read_header(path: Path) -> Header:
    """The header alone. Raises InputError as `open_picture` does."""
    with open_picture(path) as (_, header):
        return header


def _head(path: Path) -> bytes:
    try:
        refuse_special(path)
        with path.open("rb") as stream:
            head = stream.read(32)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; restore it or take it out of the data set") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check the file and its permissions"
        ) from None
    if not head:
        raise InputError(f"{path}: an empty file; replace it")
    return head


def _refuse_large(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{path}: claims {width} x {height} pixels, more than the limit of {MAX_PIXELS}; split or shrink "
            f"the image, or replace the damaged file"
        )


def _unknown(path: Path, head: bytes) -> str:
    kind = next((name for start, sign, name in _OTHER_KINDS if head.startswith(sign, start)), None)
    if kind is None:
        return f"{path}: not an image of a known format ({', '.join(FORMATS)}); replace the file"
    return f"{path}: {kind}, which is not read ({', '.join(FORMATS)} are); convert it, labels to PNG"


def _header_of(image: ImageFile, stream: IO[bytes]) -> Header:
    container = "JPEG" if image.format == "MPO" else str(image.format)
    read = {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp, "TIFF": _tiff, "PPM": _pnm}.get(container, _plain)
    # Asked for the EXIF data of a PNG that has none before its pixels, Pillow would decode them all.
    told = container != "PNG" or "exif" in image.info
    orientation = image.getexif().get(_ORIENTATION, 1) if told else 1
    facts = read(image, stream)
    return Header(
        container,
        image.mode,
        image.size,
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        **facts,  # type: ignore[arg-type]
    )


Facts = dict[str, object]


def _plain(image: ImageFile, stream: IO[bytes]) -> Facts:
    return {}


def _jpeg(image: ImageFile, stream: IO[bytes]) -> Facts:
    return {"lossy": "JPEG"}


def _png(image: ImageFile, stream: IO[bytes]) -> Facts:
    # Read by hand: Pillow hides the bit depth of 16-bit colors and hands out their upper bytes.
    stream.seek(24)
    bits = stream.read(1)[0]
    told, pages = 0, 1
    stream.seek(33)
    while len(start := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if kind == b"IDAT":
            break
        if kind == b"sBIT":
            told = max(stream.read(length))
            length = 0
        elif kind == b"acTL":
            pages = struct.unpack(">I", stream.read(4))[0]
            length -= 4
        stream.seek(length + 4, 1)
    if 8 < told < bits:
        return {"bits": bits, "top": 2**told - 1, "top_is_told": True, "pages": pages}
    return {"bits": bits, "top": 2**bits - 1, "pages": pages}


def _webp(image: ImageFile, stream: IO[bytes]) -> Facts:
    stream.seek(12)
    lossy = ""
    while len(start := stream.read(8)) == 8:
        kind, length = struct.unpack("<4sI", start)
        if kind == b"VP8 ":
            lossy = "lossy WebP"
        # The pictures of an animation lie inside such chunks, behind 16 bytes of their own.
        stream.seek(16 if kind == b"ANMF" else length + length % 2, 1)
    return {"lossy": lossy, "pages": getattr(image, "n_frames", 1)}


def _tiff(image: ImageFile, stream: IO[bytes]) -> Facts:
    tags = image.tag_v2  # type: ignore[attr-defined]
    all_bits = tags.get(_BITS, (1,))
    bits = max(all_bits) if isinstance(all_bits, tuple) else int(all_bits)
    compression = int(tags.get(_COMPRESSION, 1))
    lossy, odd = "", ""
    if compression not in _LOSSLESS_TIFF:
        lossy = f"TIFF with {_LOSSY_TIFF.get(compression, f'unknown (number {compression})')} compression"
    formats = tags.get(_SIGNED, (1,))
    signed = 2 in (formats if isinstance(formats, tuple) else (formats,))
    if int(tags.get(_PLANES, 1)) == 2 and bits > 8:
        odd = f"a {bits}-bit TIFF whose channels are stored one after another"
    elif signed and bits <= 8:
        odd = "a TIFF of signed 8-bit samples"
    largest = tags.get(_LARGEST)
    largest = max(largest) if isinstance(largest, tuple) else largest
    top = 2**bits - 1
    told = bits not in (1, 8, 16, 32, 64)
    if isinstance(largest, int) and 255 < largest < top:
        top, told = largest, True
    return {
        "bits": bits,
        "top": top,
        "top_is_told": told,
        "lossy": lossy,
        "odd": odd,
        "white_is_zero": tags.get(_PHOTOMETRIC) == 0,
        "pages": _tiff_pages(image),
    }


def _tiff_pages(image: ImageFile) -> int:
    """Pages that are no smaller copies of the first, as maps and slides have them."""
    pages = 1
    for index in range(1, min(getattr(image, "n_frames", 1), 64)):
        image.seek(index)
        pages += not int(image.tag_v2.get(_PAGE_KIND, 0)) & 1  # type: ignore[attr-defined]
    image.seek(0)
    return pages


def _pnm(image: ImageFile, stream: IO[bytes]) -> Facts:
    stream.seek(0)
    words: list[bytes] = []
    wanted = 3 if image.mode == "1" else 4
    while len(words) < wanted and (line := stream.readline(10_000)):
        words += line.partition(b"#")[0].split()
    if image.mode == "1" or words[0] in (b"P1", b"P4"):
        return {"bits": 1, "top": 1, "white_is_zero": True}
    top = int(words[3])
    return {"bits": 8 if top < 256 else 16, "top": top, "top_is_told": True}
