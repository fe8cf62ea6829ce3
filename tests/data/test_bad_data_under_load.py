"""2 000 pairs of which known ones are bad: `check` finds each, `prepare` stops or skips and reports."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from segshift.data.check import check
from segshift.data.manifest import verify
from segshift.data.prepare import prepare
from segshift.data.resolve import resolve
from segshift.errors import InputError
from tests.data.files import assert_one_line, description, ids, pixels, save, truncated, write_yaml

COUNT = 2000
SIDE = 4


@dataclass(frozen=True)
class Corrupted:
    """The YAML of a set, and the names of its bad files with a word of what is wrong."""

    yaml: Path
    bad: dict[str, str]

    @property
    def bad_stems(self) -> set[str]:
        return {Path(name).stem.removesuffix("_id") for name in self.bad}


@pytest.fixture(scope="module")
def corrupted(tmp_path_factory: pytest.TempPathFactory) -> Corrupted:
    """1 % truncated, 1 % of a wrong size, 1 % unreadable; half of the first and last kind are labels."""
    root = tmp_path_factory.mktemp("load")
    image = save(root / "one.png", pixels(0, SIDE, SIDE)).read_bytes()
    label = save(root / "two.png", ids(0, SIDE, SIDE)).read_bytes()
    for folder in ("rgb/train", "mask/train"):
        (root / folder).mkdir(parents=True)
    for index in range(COUNT):
        (root / f"rgb/train/{index:04}.png").write_bytes(image)
        (root / f"mask/train/{index:04}_id.png").write_bytes(label)
    chosen = np.random.default_rng(4).choice(COUNT, 3 * COUNT // 100, replace=False)
    bad: dict[str, str] = {}
    for number, index in enumerate(chosen.tolist()):
        kind = ("truncated", "wrong size", "unreadable")[number % 3]
        of_label = kind == "wrong size" or number % 2 == 0
        name = f"mask/train/{index:04}_id.png" if of_label else f"rgb/train/{index:04}.png"
        path = root / name
        if kind == "truncated":
            truncated(path, color=not of_label)
            bad[name] = "truncated"
        elif kind == "wrong size":
            save(path, ids(0, SIDE + 1, SIDE))
            bad[name] = "the label is 5 x 4 pixels"
        else:
            content = (b"", b"<html>404</html>", bytes(300))[number // 3 % 3]
            path.write_bytes(content)
            bad[name] = "not an image" if content else "an empty file"
    splits = {"train": {"images": "rgb/train/*.png", "labels": "mask/train/{stem}_id.png"}}
    return Corrupted(write_yaml(root / "load.yaml", description(splits=splits)), bad)


def test_check_finds_every_one_and_nothing_else(corrupted: Corrupted) -> None:
    report = check(str(corrupted.yaml))
    assert len(corrupted.bad) == 60
    assert len(report.errors) == 60
    found = {
        str(Path(str(problem.file)).relative_to(corrupted.yaml.parent)): problem.message
        for problem in report.errors
    }
    assert set(found) == set(corrupted.bad)
    for name, word in corrupted.bad.items():
        assert word in found[name] and name in found[name] and "\n" not in found[name]
    assert report.splits[0].images == COUNT
    assert report.splits[0].pairs == COUNT - 60


def test_prepare_stops_at_the_first(corrupted: Corrupted, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        prepare(str(corrupted.yaml), tmp_path / "out", size=(SIDE, SIDE), workers=1)
    first = min(corrupted.bad, key=lambda name: Path(name).stem)
    assert_one_line(caught.value, first, corrupted.bad[first])


@pytest.mark.slow
def test_prepare_skips_and_reports_all(corrupted: Corrupted, tmp_path: Path) -> None:
    out = tmp_path / "out"
    [report] = prepare(str(corrupted.yaml), out, size=(SIDE, SIDE), workers=1, on_error="skip")
    assert (report.images, len(report.skipped)) == (COUNT - 60, 60)
    for name in corrupted.bad:
        assert sum(name in line for line in report.skipped) == 1
    stems = {sample.stem for sample in resolve(str(out / "dataset.yaml")).samples}
    assert stems == {f"{index:04}" for index in range(COUNT)} - corrupted.bad_stems
    assert verify(out) == {"train": []}
    assert check(str(out / "dataset.yaml")).errors == ()
