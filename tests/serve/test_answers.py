"""What the page and the API answer, without either."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segshift.errors import InputError
from segshift.serve import seeing
from segshift.serve.answers import IMAGE, Answers
from segshift.serve.drawing import legend_table, probability_table
from segshift.serve.many import label_files, label_video
from tests.serve.conftest import CLASSES, Upload


def test_an_answer_is_the_networks_own(answers: Answers, upload: Upload) -> None:
    path = upload()
    seen = answers.viewer.see(path, "adapted")
    own = answers.viewer.models["adapted"].predict(path, probabilities=True)
    np.testing.assert_array_equal(seen.ids, own.ids)
    assert seen.probabilities is not None
    np.testing.assert_allclose(seen.probabilities, own.probabilities, atol=1e-3)
    entropy = -(own.probabilities * np.log(own.probabilities)).sum(0) / np.log(len(CLASSES))
    np.testing.assert_allclose(seen.entropy / 255, entropy, atol=0.5 / 255 + 1e-4)
    counts = np.bincount(own.ids.ravel(), minlength=3) / own.ids.size
    assert seen.shares() == {CLASSES[index]: counts[index] for index in np.argsort(-counts) if counts[index]}


def test_a_pixel_is_the_same_kept_or_not(
    answers: Answers, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = upload()
    kept = answers.viewer.pixel(path, "adapted", 5, 7)
    own = answers.viewer.models["adapted"].predict(path, probabilities=True).probabilities[:, 7, 5]
    assert list(kept) == list(CLASSES) and list(kept.values()) == pytest.approx(own, abs=1e-3)
    monkeypatch.setattr(seeing, "_LARGEST_BYTES", 0)
    again = Answers(replace(answers.viewer, _kept=seeing.OrderedDict()))
    assert again.viewer.see(path, "adapted").probabilities is None
    assert again.viewer.pixel(path, "adapted", 5, 7) == pytest.approx(kept, abs=1e-3)
    assert not again.viewer._kept
    with pytest.raises(InputError, match=r"pixel \(48, 0\): lies outside the image of 48 x 32"):
        answers.viewer.pixel(path, "adapted", 48, 0)
    with pytest.raises(InputError, match=r"pixel \(-1, 0\)"):
        answers.viewer.pixel(path, "adapted", -1, 0)


def test_what_is_kept_is_bounded_and_a_new_file_is_seen_anew(
    answers: Answers, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = upload()
    first = answers.viewer.see(path, "adapted")
    assert answers.viewer.see(path, "adapted") is first
    Image.new("RGB", (48, 32), "white").save(path)
    assert answers.viewer.see(path, "adapted") is not first
    monkeypatch.setattr(seeing, "_KEPT_BYTES", first.nbytes)
    for _ in range(3):
        answers.viewer.see(upload(), "adapted")
    assert len(answers.viewer._kept) == 1


def test_a_comparison_has_pictures_a_legend_and_files(answers: Answers, upload: Upload) -> None:
    path = upload("my photo.png")
    found = answers.compare(path, "source only", "adapted", 0.5)
    assert [file.name for file in found.files] == [
        "my photo_source_only_label.png",
        "my photo_source_only_overlay.png",
        "my photo_adapted_label.png",
        "my photo_adapted_overlay.png",
    ]
    for picture in (*found.sides, found.point_at, *found.uncertainty.values(), *found.files):
        assert Image.open(picture).size == (48, 32)
        assert picture.is_relative_to(answers.viewer.folder)
    own = answers.viewer.models["adapted"].predict(path)
    np.testing.assert_array_equal(np.asarray(Image.open(found.files[2])), own)


def test_one_side_may_show_the_image(answers: Answers, upload: Upload) -> None:
    path = upload()
    found = answers.compare(path, IMAGE, "adapted", 1.0)
    shown, given = (np.asarray(Image.open(file), int) for file in (found.sides[0], Path(path)))
    assert np.abs(shown - given).mean() < 8 and set(found.uncertainty) == {"adapted"}
    with pytest.raises(InputError, match="both sides show the image"):
        answers.compare(path, IMAGE, IMAGE, 0.5)
    with pytest.raises(InputError, match="did you mean `adapted`"):
        answers.compare(path, IMAGE, "adaptd", 0.5)


def test_a_point_of_a_shrunk_picture_is_a_pixel_of_the_image(answers: Answers, upload: Upload) -> None:
    path = upload(size=(3200, 32))
    assert "Pixel (2001, 31) of 3200 x 32" in answers.at_point(path, IMAGE, "adapted", (1000, 15))
    assert "Pixel (3199, 31)" in answers.at_point(path, IMAGE, "adapted", (1600, 16))


def test_names_are_shown_and_never_markup(answers: Answers, upload: Upload) -> None:
    seen = answers.viewer.see(upload(), "adapted")
    table = probability_table({"<i>": dict.fromkeys(CLASSES, 0.5)}, {"<i>": seen.classes})
    for html in (table, legend_table(seen, "<i>")):
        assert "<i>" not in html and "&lt;i&gt;" in html and "<b>ground" not in html


def test_a_batch_is_an_archive_and_bad_files_are_named(answers: Answers, upload: Upload) -> None:
    files = [upload("a.png"), upload("a.png"), upload("b.png", b"no image")]
    archive = label_files(answers.viewer, files, "adapted")
    assert archive.labelled == 2 and len(archive.left_out) == 1
    assert archive.left_out[0].startswith("b.png: not an image")
    with zipfile.ZipFile(archive.path) as opened:
        names = {"a_label.png", "a_overlay.png", "a_2_label.png", "a_2_overlay.png"}
        assert set(opened.namelist()) == names | {"legend.png", "predictions.json", "left_out.txt"}
        assert str(answers.viewer.folder) not in opened.read("predictions.json").decode()
    with pytest.raises(InputError, match="4 files are more than the limit of 3"):
        label_files(answers.viewer, [*files, files[0]], "adapted")
    with pytest.raises(InputError, match="no files"):
        label_files(answers.viewer, [], "adapted")
    with pytest.raises(InputError, match=r"b\.png: not an image"):
        label_files(answers.viewer, files[2:], "adapted")


def test_a_video_becomes_an_overlay(answers: Answers, upload: Upload, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs PyAV (pip install segshift[video])")

    def video(frames: int) -> str:
        with av.open(str(tmp_path / "v.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            for index in range(frames):
                picture = np.full((32, 48, 3), 40 * index, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        return upload("v.bin", (tmp_path / "v.mp4").read_bytes())

    told: list[tuple[int, int]] = []
    files = label_video(answers.viewer, video(3), "adapted", lambda *done: told.append(done))
    assert told == [(0, 3), (1, 3), (2, 3)] and files["overlay"].name == "v_overlay.mp4"
    with av.open(str(files["label"])) as made:
        assert len([*made.decode(video=0)]) == 3
    with pytest.raises(InputError, match="6 frames are more than the limit of 4"):
        label_video(answers.viewer, video(6), "adapted")


def test_problems_are_one_line_without_the_servers_paths(
    answers: Answers, upload: Upload, capsys: pytest.CaptureFixture[str]
) -> None:
    path = upload("broken.png", Path(upload()).read_bytes()[:100])
    with pytest.raises(InputError) as caught:
        answers.viewer.see(path, "adapted")
    said = answers.problem(caught.value)
    assert said.startswith("broken.png: ") and "/" not in said and "\n" not in said
    assert capsys.readouterr().err == ""
    assert "the service goes on" in answers.problem(RuntimeError("out of\nmemory"))
    assert capsys.readouterr().err == "segshift serve: RuntimeError: out of\n"
