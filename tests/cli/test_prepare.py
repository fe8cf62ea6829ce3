"""`segshift data prepare` as a user calls it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Segshift
from tests.conftest import write_toy_dataset


def test_convert_use_verify_and_mend(segshift: Segshift, tmp_path: Path, toy_source: Path) -> None:
    out = tmp_path / "small"
    call = ("data", "prepare", toy_source, "--out", out, "--size", "24x16", "--workers", "1")
    first = segshift(*call, "--json").json()
    assert first["dataset"] == str(out / "dataset.yaml") and first["size"] == "24x16"
    assert {one["name"]: (one["images"], one["labelled"]) for one in first["splits"]} == {
        "train": (6, True),
        "val": (6, True),
        "unlabelled": (6, False),
    }
    text = segshift(*call).out
    sizes = [one[key] for one in first["splits"] for key in ("original_bytes", "prepared_bytes")]
    assert min(sizes) > 1000 and max(sizes) < 1e6
    for before, after in zip(sizes[::2], sizes[1::2], strict=True):
        assert f"; {before / 1e3:.1f} kB became {after / 1e3:.1f} kB" in text
    assert "train: 6 images with labels, 0 converted, 6 there before" in text and str(out) in text
    assert segshift("data", "check", out / "dataset.yaml").status == 0
    verify = ("data", "prepare", toy_source, "--out", out, "--verify")
    assert segshift(*verify, "--json").json()["problems"] == 0
    (out / "labels/train/003.png").unlink()
    broken = segshift(*verify)
    assert broken.status == 2 and "003.png: is missing" in broken.out
    assert "1 converted, 5 there before" in segshift(*call).out
    assert "everything is as written" in segshift(*verify).out


def test_a_bad_file_stops_or_is_skipped(segshift: Segshift, tmp_path: Path) -> None:
    source = write_toy_dataset(tmp_path / "source")
    bad = source.parent / "images/train/002.png"
    bad.write_bytes(bad.read_bytes()[:100])
    call = ("data", "prepare", source, "--out", tmp_path / "out", "--size", "24x16", "--workers", "1")
    assert str(bad) in segshift(*call).refusal()
    skipping = segshift(*call, "--skip-bad", "--split", "train", "--split", "val")
    assert skipping.status == 0
    assert "train: 1 sample skipped" in skipping.out and str(bad) in skipping.out
    assert "val: 6 images" in skipping.out and "unlabelled" not in skipping.out


def test_what_is_refused(segshift: Segshift, tmp_path: Path, toy_source: Path) -> None:
    call = ("data", "prepare", toy_source, "--out", tmp_path / "out")
    assert "--size" in segshift(*call).refusal()
    assert "WIDTHxHEIGHT" in segshift(*call, "--size", "24").refusal()
    assert "did you mean `train`" in segshift(*call, "--size", "24x16", "--split", "trian").refusal()
    assert "no complete prepared data set" in segshift(*call, "--verify").refusal()


@pytest.mark.process
def test_a_bad_file_met_by_a_worker_is_one_line_in_all(tmp_path: Path) -> None:
    source = write_toy_dataset(tmp_path / "source", count=12)
    bad = source.parent / "labels/train/005.png"
    bad.write_bytes(bad.read_bytes()[:60])
    program = "from segshift.cli import main; main()"
    options = ["--size", "24x16", "--out", str(tmp_path / "out"), "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-c", program, "data", "prepare", str(source), *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: {bad}: ") and "--skip-bad" in line
