"""`segshift data patch-modes`."""

from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Segshift


def test_the_modes_of_a_data_set(segshift: Segshift, toy_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "modes.png"
    arguments = ["data", "patch-modes", toy_source, "--modes", 5, "--patch", "12x8", "--out", out]
    document = segshift(*arguments, "--json").json()
    assert document["patches"] == 150 and document["patch_px"] == [12, 8]
    shares = [mode["share"] for mode in document["modes"]]
    assert len(shares) == 5 and sum(shares) == pytest.approx(1) and shares == sorted(shares, reverse=True)
    assert document["picture"] == str(out)
    with Image.open(out) as picture:
        assert min(picture.size) > 100
    text = segshift(*arguments, "--size", "24x16", "--images", 2, "--show", 2)
    assert text.status == 0 and "5 modes of 50 patches" in text.out


def test_bad_input_is_one_line(segshift: Segshift, toy_source: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        return segshift("data", "patch-modes", "--out", tmp_path / "modes.png", *arguments).refusal()

    assert "give even numbers" in refused(toy_source, "--patch", "9x8")
    assert "write it as WIDTHxHEIGHT" in refused(toy_source, "--patch", "9")
    assert "does not fit into a label map" in refused(toy_source, "--patch", "64x32")
    assert "has no labels" in refused(f"{toy_source}:unlabelled", "--patch", "8x8")
    assert "different patches" in refused(toy_source, "--patch", "8x8", "--modes", 2000)
    assert not (tmp_path / "modes.png").exists()
