"""`predict` on many files: what is there stays, processes share the rest, and videos."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import segshift as package
from segshift.engine.predict_files import predict_files
from segshift.engine.prediction import Predictor
from segshift.engine.processes import Processes
from segshift.errors import OutputError
from tests.cli.conftest import Segshift

av = pytest.importorskip("av", reason="videos need the extra `video`")


@pytest.fixture
def photos(toy_target: Path, tmp_path: Path) -> Path:
    return shutil.copytree(toy_target.parent / "images" / "val", tmp_path / "photos")


def test_a_second_call_predicts_only_what_is_missing_or_old(
    segshift: Segshift, trained: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert segshift("predict", trained, photos, "--out", out).status == 0
    names = sorted(path.stem for path in photos.iterdir())
    labels = {name: out / f"{name}_label.png" for name in names}
    first = {name: path.read_bytes() for name, path in labels.items()}
    # A file of the first call with other content shows whether it is written again.
    with Image.open(labels[names[0]]) as label:
        marked, note = np.zeros_like(np.asarray(label)), PngInfo()
        note.add_text("segshift", label.info["segshift"])
    Image.fromarray(marked).save(labels[names[0]], pnginfo=note)
    labels[names[1]].unlink()
    (out / f"{names[2]}_overlay.png").unlink()
    # Another image under the name, and older than its results: clocks are set, copies keep their times.
    shutil.copy2(photos / f"{names[4]}.png", photos / f"{names[3]}.png")
    os.utime(photos / f"{names[3]}.png", (0, 0))
    # And results that are older than the image and the network.
    os.utime(labels[names[5]], (0, 0))
    # As a call leaves it that is killed in the middle of a file.
    (out / ".a_probabilities.abcdefgh.partial.npz").write_bytes(b"half")
    outcome = segshift("predict", trained, photos, "--out", out)
    assert "6 images labelled" in outcome.out and "(3 of them by an earlier call)" in outcome.out
    assert not list(out.glob(".*partial*"))
    assert np.array_equal(np.asarray(Image.open(labels[names[0]])), marked)
    assert np.array_equal(*(np.asarray(Image.open(labels[name])) for name in names[3:5]))
    first[names[3]] = labels[names[3]].read_bytes()
    assert all(labels[name].read_bytes() == first[name] for name in names[1:])
    # Other settings are other results, and so is another network.
    outcome = segshift("predict", trained, photos, "--out", out, "--flip")
    assert "by an earlier call" not in outcome.out
    outcome = segshift("predict", trained, photos, "--out", out)
    assert "by an earlier call" not in outcome.out
    assert {name: path.read_bytes() for name, path in labels.items()} == first
    legend = (out / "legend.png").read_bytes()
    outcome = segshift("predict", trained, photos, "--out", out)
    assert "(6 of them by an earlier call)" in outcome.out
    assert (out / "legend.png").read_bytes() == legend


def test_processes_share_the_files(trained: Path, photos: Path, tmp_path: Path) -> None:
    segmenter = package.load(trained)
    named = {path.stem: path for path in sorted(photos.iterdir())}
    for rank in range(4):
        predictor = Predictor(segmenter, str(trained), tmp_path / "out")
        processes = Processes(rank, 4, torch.device("cpu"))
        done = predict_files(predictor, named, processes, pytest.fail)
        assert done.labelled == 4 * len(range(rank, 6, 4)) and done.kept == 0
    for name, path in named.items():
        label = np.asarray(Image.open(tmp_path / "out" / f"{name}_label.png"))
        assert np.array_equal(label, segmenter.predict(path))


def test_a_full_disk_ends_the_call_at_the_first_file(
    trained: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, pixels: np.ndarray, made_of: str | None = None) -> None:
        raise OutputError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr("segshift.engine.prediction._save", full)
    predictor = Predictor(package.load(trained), str(trained), tmp_path / "out")
    named = {path.stem: path for path in sorted(photos.iterdir())}
    left_out: list[str] = []
    with pytest.raises(OutputError, match=f"{next(iter(named))}_overlay.png"):
        predict_files(predictor, named, Processes.alone("cpu"), left_out.append)
    assert left_out == []


def film(path: Path, frames: int = 5, width: int = 46, height: int = 34) -> None:
    """A moving edge, at uneven times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            pixels = np.full((height, width, 3), 60, np.uint8)
            pixels[:, number * 8 :] = (40, 200, 90)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number + (number == frames - 1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def frames_of(path: Path, pixels: str) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format=pixels)) for frame in container.decode(video=0)]


def test_videos_become_videos(segshift: Segshift, trained: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    film(photos / "drive.mp4")
    data = segshift("predict", trained, photos, "--out", out, "--color", "--json").json()
    assert len(data["predictions"]) == 7
    files = next(one for one in data["predictions"] if one["image"].endswith("drive.mp4"))
    assert files == {
        "image": str(photos / "drive.mp4"),
        "label": str(out / "drive_label.mkv"),
        "overlay": str(out / "drive_overlay.mp4"),
        "color": str(out / "drive_color.mp4"),
    }
    segmenter = package.load(trained)
    seen = frames_of(photos / "drive.mp4", "rgb24")
    labels = frames_of(Path(files["label"]), "gray")
    assert len(labels) == 5 and [time for time, _ in labels] == pytest.approx(
        [time for time, _ in seen], abs=2e-3
    )
    for (_, pixels), (_, label) in zip(seen, labels, strict=True):
        assert np.array_equal(label, segmenter.predict(pixels))
    overlays = frames_of(Path(files["overlay"]), "rgb24")
    assert [time for time, _ in overlays] == pytest.approx([time for time, _ in seen], abs=2e-3)
    assert overlays[0][1].shape == (34, 46, 3)


def test_videos_are_refused_in_one_line(
    segshift: Segshift, trained: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (photos / "broken.mp4").write_bytes(os.urandom(500))
    assert (
        "broken.mp4: cannot be read as a video"
        in segshift("predict", trained, photos, "--out", out).refusal()
    )
    outcome = segshift("predict", trained, photos, "--out", out, "--skip-bad")
    assert outcome.status == 0 and "6 images labelled" in outcome.out
    (photos / "broken.mp4").unlink()
    film(photos / "good.mp4", frames=2)
    line = segshift("predict", trained, photos / "good.mp4", "--out", out, "--probabilities").refusal()
    assert "leave out --probabilities" in line
    assert not [path for path in out.iterdir() if path.name.startswith((".", "good"))]
