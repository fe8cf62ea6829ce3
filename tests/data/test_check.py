"""The data doctor: everything it must find, and that one bad file does not hide the next."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segshift.data.check import CheckReport, check
from segshift.data.contact_sheet import contact_sheet
from segshift.data.resolve import resolve
from segshift.errors import InputError
from tests.data.files import (
    CLASSES,
    HEIGHT,
    WIDTH,
    assert_one_line,
    dataset,
    description,
    huge_png,
    ids,
    pixels,
    save,
    truncated,
    write_yaml,
)


def messages(report: CheckReport, severity: str) -> list[str]:
    for problem in report.problems:
        assert "\n" not in problem.message
    return [problem.message for problem in report.problems if problem.severity == severity]


def test_a_sound_data_set(tmp_path: Path) -> None:
    report = check(str(dataset(tmp_path)))
    assert report.problems == ()
    assert report.dataset == "warehouse"
    assert [(split.name, split.images, split.pairs) for split in report.splits] == [
        ("train", 3, 3),
        ("val", 2, 2),
    ]
    assert report.splits[0].sizes == {(WIDTH, HEIGHT): 3}
    labels = np.concatenate([ids(seed).ravel() for seed in range(3)])
    assert report.splits[0].class_frequencies == pytest.approx(
        {name: float((labels == index).mean()) for index, name in enumerate(CLASSES)}
    )
    assert report.splits[0].ignored_share == 0


def test_one_split_by_argument_or_parameter(tmp_path: Path) -> None:
    yaml = dataset(tmp_path)
    assert [split.name for split in check(f"{yaml}:val").splits] == ["val"]
    assert [split.name for split in check(str(yaml), "val").splits] == ["val"]


def test_every_bad_file_is_listed(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, train=8, labels={"other": "error"})
    rgb, mask = tmp_path / "rgb/train", tmp_path / "mask/train"
    truncated(rgb / "000.png")
    save(rgb / "001.png", np.zeros((HEIGHT, WIDTH, 4), np.uint8))
    huge_png(rgb / "002.png")
    save(mask / "003_id.png", ids(0, width=5))
    (mask / "004_id.png").unlink()
    save(mask / "005_id.png", np.full((HEIGHT, WIDTH), 77, np.uint8))
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.float32)).save(rgb / "006.png", format="TIFF")
    truncated(mask / "006_id.png", color=False)
    report = check(str(yaml))
    errors = messages(report, "error")
    expected = {
        "rgb/train/000.png": "truncated",
        "rgb/train/001.png": "transparency",
        "rgb/train/002.png": "100000 x 100000",
        "mask/train/003_id.png": "5 x 8 pixels",
        "rgb/train/004.png": "no label",
        "mask/train/005_id.png": "id 77",
        "rgb/train/006.png": "mode F",
        "mask/train/006_id.png": "truncated",
    }
    assert len(errors) == len(expected)
    for file, part in expected.items():
        [problem] = [one for one in report.errors if one.file == str(tmp_path / file)]
        assert part in problem.message
        assert problem.split == "train"
    assert report.splits[0].images == 8
    assert report.splits[0].pairs == 2, "005 has both files readable and of one size, as has 007"
    assert report.splits[1].pairs == 2, "a bad split does not end the check"


def test_images_without_label_are_read_as_well(tmp_path: Path) -> None:
    yaml = dataset(tmp_path)
    (tmp_path / "mask/train/001_id.png").unlink()
    (tmp_path / "rgb/train/001.png").write_bytes(b"")
    (tmp_path / "rgb/train/002.png").unlink()
    (tmp_path / "rgb/train/002.png").symlink_to(tmp_path / "gone.png")
    report = check(f"{yaml}:train")
    assert [message.partition("/rgb/train/")[2] for message in messages(report, "error")] == [
        f"001.png: has no label, expected {tmp_path}/mask/train/001_id.png; add it or remove the image",
        "002.png: no such file; restore it or take it out of the data set",
        "001.png: an empty file; replace it",
    ]
    assert (report.splits[0].images, report.splits[0].pairs) == (3, 1)


def test_a_split_whose_labels_are_all_missing_is_one_error(tmp_path: Path) -> None:
    yaml = dataset(tmp_path)
    for file in (tmp_path / "mask/train").iterdir():
        file.unlink()
    truncated(tmp_path / "rgb/train/001.png")
    report = check(str(yaml))
    missing, broken = messages(report, "error")
    assert "none of the 3 images of split 'train' has its label" in missing and "truncated" in broken
    assert report.splits[0].sizes == {(WIDTH, HEIGHT): 2} and report.splits[0].class_frequencies is None
    contact_sheet(report, tmp_path / "sheet.png")


def test_unmapped_ids_come_with_their_share(tmp_path: Path) -> None:
    yaml = dataset(
        tmp_path, train=2, labels={"kind": "ids", "map": {0: "floor", 1: "rack", 2: "person"}, "ignore": [9]}
    )
    stray = ids(0)
    stray[0, :6] = 40
    stray[1, :3] = 41
    stray[2, :3] = 9
    save(tmp_path / "mask/train/000_id.png", stray)
    report = check(f"{yaml}:train")
    pixels_in_all = 2 * WIDTH * HEIGHT
    assert report.splits[0].unmapped == pytest.approx(
        {"id 40": 6 / pixels_in_all, "id 41": 3 / pixels_in_all}
    )
    assert report.splits[0].ignored_share == pytest.approx(12 / pixels_in_all)
    assert report.errors == ()
    forty, forty_one = messages(report, "warning")
    assert "id 40" in forty and "3.125%" in forty and "in 1 file;" in forty and "`labels.map`" in forty
    assert "id 41" in forty_one


def test_unmapped_colors_are_written_as_in_the_yaml(tmp_path: Path) -> None:
    yaml = dataset(
        tmp_path,
        train=1,
        labels={"kind": "rgb", "map": {"1,2,3": "floor", "4,5,6": "rack", "7,8,9": "person"}},
    )
    colors = np.full((HEIGHT, WIDTH, 3), (1, 2, 3), np.uint8)
    colors[0, :2] = (200, 0, 1)
    save(tmp_path / "mask/train/000_id.png", colors)
    report = check(f"{yaml}:train")
    assert report.splits[0].unmapped == pytest.approx({"color 200,0,1": 2 / (WIDTH * HEIGHT)})
    assert any("no pixel of rack, person" in message for message in messages(report, "warning"))


def test_errors_come_before_warnings(tmp_path: Path) -> None:
    yaml = dataset(tmp_path)
    save(tmp_path / "mask/train/000_id.png", np.full((HEIGHT, WIDTH), 8, np.uint8))
    truncated(tmp_path / "rgb/val/000.png")
    report = check(str(yaml))
    assert [problem.severity for problem in report.problems] == ["error", "warning"]


def test_a_turned_photograph_is_a_warning(tmp_path: Path) -> None:
    yaml = dataset(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(pixels(0)).save(tmp_path / "rgb/train/000.png", exif=exif)
    report = check(str(yaml))
    assert report.errors == ()
    [message] = messages(report, "warning")
    assert "EXIF orientation 8" in message


def test_an_unlabelled_split_has_sizes_and_no_frequencies(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, splits={"train": {"images": "rgb/train/*.png"}})
    [split] = check(str(yaml)).splits
    assert (split.images, split.pairs, split.class_frequencies, split.ignored_share) == (3, 0, None, None)


def test_a_split_without_files_is_an_error_of_that_split(tmp_path: Path) -> None:
    yaml = dataset(tmp_path, train=0)
    report = check(str(yaml))
    [message] = messages(report, "error")
    assert "matches no file" in message
    assert report.splits[1].images == 2
    assert check(f"{yaml}:train").errors
    assert_one_line(InputError(check(str(yaml), "tran").errors[0].message), "did you mean `train`?")


def test_missing_images_of_a_list_are_listed_one_by_one(tmp_path: Path) -> None:
    dataset(tmp_path)
    (tmp_path / "l.txt").write_text("000\n008\n009\n")
    rule = {"list": "l.txt", "images": "rgb/train/{stem}.png", "labels": "mask/train/{stem}_id.png"}
    yaml = write_yaml(tmp_path / "list.yaml", description(splits={"train": rule}))
    report = check(str(yaml))
    assert [problem.file for problem in report.errors if "no such image" in problem.message] == [
        str(tmp_path / "rgb/train/008.png"),
        str(tmp_path / "rgb/train/009.png"),
    ]


def test_a_bad_yaml_ends_the_check(tmp_path: Path) -> None:
    yaml = write_yaml(tmp_path / "own.yaml", description(clases=["a"]))
    with pytest.raises(InputError, match="did you mean"):
        check(str(yaml))


def test_the_report_is_json(tmp_path: Path) -> None:
    yaml = dataset(tmp_path)
    truncated(tmp_path / "rgb/train/000.png")
    data = json.loads(json.dumps(check(str(yaml)).to_dict()))
    assert data["errors"] == 1
    assert data["classes"] == CLASSES
    assert data["splits"][0]["sizes"] == {"12x8": 2}
    assert data["problems"][0]["severity"] == "error"


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    check(f"{dataset(tmp_path)}:train", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_number_of_threads_changes_nothing(tmp_path: Path) -> None:
    yaml = str(dataset(tmp_path, train=9))
    truncated(tmp_path / "rgb/train/004.png")
    assert check(yaml, workers=1).to_dict() == check(yaml, workers=4).to_dict()


def test_camvids_published_frequencies(camvid_root: Path) -> None:
    # Shares of all pixels as the copy's README gives them, in percent.
    [split] = check(f"camvid:{camvid_root}:dusk_test").splits
    published = {
        "sky": 21.368,
        "building": 15.262,
        "pole": 0.729,
        "road": 15.951,
        "car": 10.954,
        "bicyclist": 0.5,
    }
    assert split.ignored_share == pytest.approx(0.0687, abs=1e-5)
    assert split.class_frequencies is not None
    for name, percent in published.items():
        assert split.class_frequencies[name] * (1 - split.ignored_share) * 100 == pytest.approx(
            percent, abs=1e-3
        )


def test_the_contact_sheet_shows_labels_in_their_colors(tmp_path: Path) -> None:
    yaml = dataset(tmp_path)
    truncated(tmp_path / "rgb/train/001.png")
    report = check(str(yaml))
    path = contact_sheet(report, tmp_path / "out/sheet.png")
    colors = {color for _, color in Image.open(path).getcolors(maxcolors=2**24) or []}
    assert set(report.classes.colors) <= colors
    few = contact_sheet(report, tmp_path / "few.png", count=1)
    assert Image.open(few).height < Image.open(path).height


def test_the_contact_sheet_of_unlabelled_images(tmp_path: Path) -> None:
    split = resolve(str(dataset(tmp_path, train=4, splits={"train": {"images": "rgb/train/*.png"}})))
    assert Image.open(contact_sheet(split, tmp_path / "sheet.png", count=4)).width > WIDTH


def test_a_contact_sheet_of_nothing_is_refused(tmp_path: Path) -> None:
    split = resolve(str(dataset(tmp_path, train=1)))
    truncated(split.samples[0].image)
    with pytest.raises(InputError) as caught:
        contact_sheet(split, tmp_path / "sheet.png")
    assert_one_line(caught.value, "sheet.png", "no sample could be read")
    assert not (tmp_path / "sheet.png").exists()
