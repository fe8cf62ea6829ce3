"""What a request may bring and take: every file is judged by its content before it is decoded."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from segshift.data.containers import read_header
from segshift.engine.video import VideoHeader, check_video
from segshift.errors import InputError
from segshift.plain import size_in_words

MEGABYTE, MEGAPIXEL = 10**6, 10**6
_T = TypeVar("_T")

# What the containers that are read as videos begin with (from a byte on). Playlists, which name other files
# and addresses, are no videos here.
_VIDEOS = (
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (0, b"\x1a\x45\xdf\xa3"),
    (8, b"AVI "),
    (0, b"\0\0\1\xba"),
)
_STILLS = (b"heic", b"heix", b"mif1", b"avif", b"avis")


@dataclass(frozen=True)
class Limits:
    """Of a service.

    Attributes:
        upload_mb: megabytes (10^6 bytes) of one upload: a file, or all files that are sent together.
        megapixels: 10^6 pixels of an image, or of a video's frame.
        files: in one batch.
        frames: in one video.
        queue: requests that wait; further ones are refused.
        timeout_s: seconds that one request may work, asked between images, frames and bands of rows.
        keep_minutes: how long uploads and results are kept.
    """

    upload_mb: int = 100
    megapixels: int = 25
    files: int = 100
    frames: int = 3000
    queue: int = 32
    timeout_s: int = 300
    keep_minutes: int = 60

    @property
    def upload_bytes(self) -> int:
        """Bytes of one upload."""
        return self.upload_mb * MEGABYTE

    def deadline(self) -> "Deadline":
        """That of a request which begins now."""
        return Deadline(time.monotonic() + self.timeout_s, self.timeout_s)


@dataclass(frozen=True)
class Deadline:
    """When a request has taken too long.

    Attributes:
        at: on the monotonic clock.
        seconds: how long that was at the start.
    """

    at: float
    seconds: int

    def check(self) -> None:
        """Raises InputError when the time is up."""
        if time.monotonic() > self.at:
            raise InputError(
                f"took longer than {self.seconds} s, the limit of this service; send less, or smaller images "
                "(the owner can raise --timeout)"
            )

    def watch(self, items: Iterable[_T]) -> Iterator[_T]:
        """Passes items on as long as there is time."""
        for item in items:
            self.check()
            yield item


def uploaded(path: str | Path, folder: Path, limits: Limits) -> Path:
    """The file that was uploaded as `path`, if it is one.

    Raises:
        InputError: a place outside the folder of uploads, a link, no regular file, or one that is too large.
    """
    file = Path(path)
    try:
        inside = file.resolve(strict=True).is_relative_to(folder.resolve())
        status = file.lstat()
    except (OSError, RuntimeError, ValueError):
        raise InputError(f"{file}: is not there any more; upload it again") from None
    if not inside or file.is_symlink() or not file.is_file():
        raise InputError(f"{file}: is not an uploaded file; upload it first")
    if status.st_size > limits.upload_bytes:
        raise InputError(
            f"{file}: {size_in_words(status.st_size)} are more than the limit of {limits.upload_mb} MB; "
            "send a smaller file"
        )
    return file


def check_uploaded_image(file: Path, limits: Limits) -> None:
    """Raises InputError for what is no image by its content, or has too many pixels; none is decoded."""
    width, height = read_header(file).size
    _refuse_pixels(file, width, height, limits)


def is_video(file: Path) -> bool:
    """Whether a file begins as the containers of videos do; its name does not matter."""
    with file.open("rb") as stream:
        head = stream.read(16)
    still = head[4:8] == b"ftyp" and head[8:12] in _STILLS
    return not still and any(head.startswith(sign, start) for start, sign in _VIDEOS)


def check_uploaded_video(file: Path, limits: Limits) -> VideoHeader:
    """What a video says of itself.

    Raises:
        InputError: no video by its content, or one whose frames are too large or too many.
    """
    if not is_video(file):
        raise InputError(f"{file}: is not a video (MP4, MOV, MKV, WebM, AVI or MPEG); send one of those")
    header = check_video(file)
    _refuse_pixels(file, header.width, header.height, limits)
    if header.frames > limits.frames:
        raise InputError(f"{file}: {_too_many(header.frames, limits)}")
    return header


def at_most_frames(frames: Iterable[_T], limits: Limits, deadline: Deadline) -> Iterator[_T]:
    """Passes a video's frames on. Raises InputError when there are too many, or the time is up."""
    for index, frame in enumerate(deadline.watch(frames)):
        if index >= limits.frames:
            raise InputError(f"the video: {_too_many(index + 1, limits)}")
        yield frame


def _too_many(frames: int, limits: Limits) -> str:
    return f"{frames} frames are more than the limit of {limits.frames}; cut the video"


def _refuse_pixels(file: Path, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.megapixels * MEGAPIXEL:
        raise InputError(
            f"{file}: {width} x {height} pixels are more than the limit of {limits.megapixels} megapixels; "
            "shrink or split it"
        )
