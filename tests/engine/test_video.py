"""Videos are read from their own file alone."""

from pathlib import Path

import numpy as np
import pytest

from segshift.engine.video import VideoHeader, check_video
from segshift.errors import InputError

av = pytest.importorskip("av", reason="needs PyAV (pip install segshift[video])")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "real.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for index in range(3):
            picture = np.full((32, 48, 3), 40 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_a_header_says_size_and_frames(video: Path) -> None:
    assert check_video(video) == VideoHeader(48, 32, 3)


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile real.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_playlist_that_names_another_file_is_no_video(video: Path, playlist: str) -> None:
    disguised = video.with_name("video.mp4")
    disguised.write_text(playlist)
    with pytest.raises(InputError, match=r"video\.mp4: cannot be read as a video"):
        check_video(disguised)
