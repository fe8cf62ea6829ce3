"""What may be uploaded: judged by content, before anything is decoded."""

import struct
import zlib
from pathlib import Path

import pytest

from segshift.errors import InputError
from segshift.serve.limits import (
    Deadline,
    Limits,
    at_most_frames,
    check_uploaded_image,
    check_uploaded_video,
    is_video,
    uploaded,
)
from tests.serve.conftest import Upload

LIMITS = Limits(upload_mb=1, megapixels=1, frames=4)


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, with next to nothing behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10))


def test_only_regular_files_of_the_folder_are_uploads(upload: Upload, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    good = upload()
    assert uploaded(good, folder, LIMITS) == Path(good)
    link = folder / "link.png"
    link.symlink_to(good)
    outside = folder / "outside.png"
    outside.symlink_to("/etc/passwd")
    for path in (link, outside, "/etc/passwd", folder / ".." / ".." / ".." / "etc" / "passwd", folder):
        with pytest.raises(InputError, match="is not"):
            uploaded(path, folder, LIMITS)
    with pytest.raises(InputError, match="not there any more"):
        uploaded(folder / "gone.png", folder, LIMITS)
    with pytest.raises(InputError, match="limit of 1 MB"):
        uploaded(upload("large.bin", b"\0" * 1_000_001), folder, LIMITS)


def test_pixels_are_counted_from_the_header(upload: Upload) -> None:
    check_uploaded_image(Path(upload()), LIMITS)
    with pytest.raises(InputError, match="1001 x 1000 pixels are more than the limit of 1 megapixels"):
        check_uploaded_image(Path(upload("bomb.png", claiming(1001, 1000))), LIMITS)
    with pytest.raises(InputError, match="60000 x 60000"):
        check_uploaded_image(Path(upload("bomb.png", claiming(60000, 60000))), LIMITS)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("photo.png", b"#!/bin/sh\nrm -rf /\n", "not an image"),
        ("photo.jpg", b"%PDF-1.7", "a PDF file"),
        ("photo.png", b"<svg onload=alert(1)>", "an SVG drawing"),
        ("photo.png", b"PK\x03\x04" + b"\0" * 30, "an archive"),
        ("photo.png", b"", "an empty file"),
    ],
)
def test_a_name_does_not_make_an_image(upload: Upload, name: str, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_uploaded_image(Path(upload(name, content)), LIMITS)


def test_an_image_is_one_under_any_name(upload: Upload) -> None:
    check_uploaded_image(Path(upload("photo.exe")), LIMITS)


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\0\0\0\x1cftypheic" + b"\0" * 20,
        b"RIFF\0\0\0\0WAVE",
    ],
)
def test_playlists_and_stills_are_no_videos(upload: Upload, content: bytes) -> None:
    file = Path(upload("video.mp4", content))
    assert not is_video(file)
    with pytest.raises(InputError, match="is not a video"):
        check_uploaded_video(file, LIMITS)


def test_frames_and_time_are_limited() -> None:
    lasting = LIMITS.deadline()
    assert list(at_most_frames(range(4), LIMITS, lasting)) == [0, 1, 2, 3]
    with pytest.raises(InputError, match="5 frames are more than the limit of 4"):
        list(at_most_frames(range(5), LIMITS, lasting))
    with pytest.raises(InputError, match="took longer than 7 s"):
        list(at_most_frames(range(4), LIMITS, Deadline(at=0.0, seconds=7)))
