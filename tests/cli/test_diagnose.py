"""`segshift diagnose`: every part on toy data, a target without labels, and bad requests."""

import base64
import html
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segshift.analysis.diagnosis import PARTS
from segshift.cli import diagnose
from segshift.data.resolve import resolve
from segshift.data.spec import Split
from segshift.engine.presets import load_recipe
from tests.cli.conftest import Segshift
from tests.cli.reading import numbers
from tests.conftest import write_toy_dataset

FAST = ("--size", "64x48", "--canvas", "32x24", "--patches", "8,24", "--iterations", 8, "--validate-every", 2,
        "--seeds", "0,1")  # fmt: skip


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two toy data sets of other size and content."""
    folders = [tmp_path_factory.mktemp(name) for name in ("source", "target")]
    return (
        write_toy_dataset(folders[0], count=10),
        write_toy_dataset(folders[1], count=12, size=(56, 40), seed=1),
    )


def test_all_parts(segshift: Segshift, domains: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "diagnosis"
    document = segshift("diagnose", *domains, "--model", trained, "--out", out, *FAST, "--json").json()
    assert {**json.loads((out / "diagnosis.json").read_text()), "folder": str(out)} == document
    assert list(document["analyses"]) == list(PARTS) and document["skipped"] == {}
    assert document["label_maps_from"] == "labels" and document["classes"]["names"] == [
        "sky",
        "ground",
        "box",
    ]
    assert document["source"]["sizes"] == {"48x32": 10} and document["target"]["images"] == 12
    named = {name for names in document["pictures"].values() for name in names}
    assert named == {path.name for path in out.iterdir()} - {"diagnosis.json", "diagnosis.html"}
    for name in named:
        if name.endswith(".png"):
            with Image.open(out / name) as picture:
                assert min(picture.size) > 150 and len(picture.convert("RGB").getcolors(1 << 24)) > 5
    analyses = document["analyses"]
    labels = [np.asarray(Image.open(path)) for path in sorted(domains[0].parent.glob("labels/train/*.png"))]
    counted = np.sum([np.bincount(label.ravel(), minlength=256)[:3] for label in labels], axis=0)
    shares = analyses["frequencies"]["pixels"]["source"]
    assert list(shares.values()) == pytest.approx(counted / counted.sum())
    assert analyses["frequencies"]["ignored"]["source"] == pytest.approx(4 / (48 * 32))
    assert analyses["frequencies"]["images"]["source"] == {"sky": 1, "ground": 1, "box": 1}
    assert analyses["frequencies"]["source_only"] == analyses["frequencies"]["target_only"] == []
    placement = analyses["spatial"]["placement"]
    assert 0 <= placement["mean_by_share"] <= 1 and set(placement["within_domain"]) == {"source", "target"}
    images = [np.asarray(Image.open(path)) for path in sorted(domains[0].parent.glob("images/train/*.png"))]
    reds = np.concatenate([image[..., 0].ravel() for image in images])
    assert analyses["colours"]["source"]["red"]["mean"] == pytest.approx(reds.mean())
    for part in ("labels", "images"):
        assert list(analyses[part]) == ["8", "24", "whole"]
        assert analyses[part]["whole"]["curve"]["iterations"] == [2, 4, 6, 8]
    assert analyses["labels"]["whole"]["held_out_images"] == 2 * 2 * 2
    assert 0 <= analyses["features"]["error"] <= 1
    assert document["recommendation"]["thresholds"]["alike_from_error"] == 0.4
    assert all(math.isfinite(x) for x in numbers(analyses))


def test_the_terminal_and_the_ready_command(
    segshift: Segshift, domains: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = segshift("diagnose", *domains, "--out", tmp_path / "d", *FAST, "--only", "labels,colours")
    assert outcome.status == 0, outcome.err
    assert "labels, whole: error" in outcome.out and "colors R, G, B" in outcome.out
    document = json.loads((tmp_path / "d" / "diagnosis.json").read_text())
    assert list(document["analyses"]) == ["colours", "labels"]
    for sentence in document["recommendation"]["sentences"]:
        assert sentence in outcome.out
    files = {path.name for path in (tmp_path / "d").iterdir()}
    assert "frequencies.png" not in files and "separability_labels.svg" in files
    page = (tmp_path / "d" / "diagnosis.html").read_text(encoding="utf-8")
    text = html.unescape(page)
    assert f"page: {tmp_path / 'd' / 'diagnosis.html'}" in outcome.out
    for sentence in document["recommendation"]["sentences"]:
        assert sentence in text
    drawn = [base64.b64decode(found) for found in re.findall(r"data:image/png;base64,([^\"]+)", page)]
    assert drawn == [(tmp_path / "d" / f"{name}.png").read_bytes() for name in document["pictures"]]
    error = document["analyses"]["labels"]["whole"]["error"]
    assert re.search(rf"labels, whole: error</th><td>{100 * error:.1f}</td>", page)
    assert "--only labels,colours" in text and "://" not in page and "<script" not in page


def ready(
    patch_px: int | None, size: tuple[int, int], splits: tuple[Split, Split], names: list[str]
) -> tuple[list[str], str | None]:
    made = {
        "recommendation": {"presets": ["local_alignment" if patch_px else "advent"], "patch_px": patch_px},
        "settings": {"size": list(size)},
        "classes": {"set": "camvid11", "names": names},
    }
    return diagnose._ready(made, "a b", "c", splits)


@pytest.mark.parametrize(
    ("patch_px", "size", "trained_px", "resize", "crop"),
    [
        (64, (960, 480), 64, (960, 480), (640, 320)),
        (90, (480, 360), 90, (480, 360), (320, 240)),
        # Larger than the preset's crops.
        (300, (480, 360), 300, (480, 360), (320, 300)),
        # Smaller than the discriminator takes: the same share of larger images.
        (16, (160, 120), 32, (320, 240), (213, 160)),
        (22, (240, 180), 32, (350, 262), (233, 175)),
        (None, (48, 36), None, (48, 36), (32, 32)),
    ],
)
def test_the_ready_command_trains(
    domains: tuple[Path, Path],
    patch_px: int | None,
    size: tuple[int, int],
    trained_px: int | None,
    resize: tuple[int, int],
    crop: tuple[int, int],
) -> None:
    splits = resolve(str(domains[0])), resolve(str(domains[1]))
    assignments, command = ready(patch_px, size, splits, ["sky", "ground"])
    preset = "local_alignment" if patch_px else "advent"
    assert command is not None and command.startswith(f"segshift train {preset} --source 'a b'")
    assert assignments[-1] == "classes=[sky, ground]"
    recipe = load_recipe(preset, assignments)
    assert recipe.method["terms"][0].get("patch_px") == trained_px
    assert recipe.target.augmentation.resize == resize == recipe.source.augmentation.resize
    assert recipe.target.augmentation.crop == crop == recipe.source.augmentation.crop
    for other in ("adaptsegnet", "adabn_training", "mean_teacher", "cyclegan_adapt"):
        assert load_recipe(other, assignments[1 if patch_px else 0 :]).training.steps > 0
    # What could not be trained is not recommended.
    assert ready(patch_px, size, splits, ["sky", "bus"]) == ([], None)
    without = resolve(f"{domains[0]}:unlabelled", labels="optional"), splits[1]
    assert ready(patch_px, size, without, ["sky", "ground"]) == ([], None)


def test_a_target_without_labels(
    segshift: Segshift, domains: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    target = f"{domains[1]}:unlabelled"
    outcome = segshift("diagnose", domains[0], target, "--out", tmp_path / "a", *FAST)
    assert outcome.status == 0, outcome.err
    document = json.loads((tmp_path / "a" / "diagnosis.json").read_text())
    assert set(document["skipped"]) == {"frequencies", "spatial", "labels", "features", "confidence"}
    assert list(document["analyses"]) == ["colours", "images"] and document["label_maps_from"] is None
    assert "left out: labels: toy:unlabelled without labels; give a network" in " ".join(outcome.err.split())
    assert "by style or by content is not known" in outcome.out

    outcome = segshift(
        "diagnose", domains[0], target, "--out", tmp_path / "b", *FAST, "--model", trained,
        "--only", "frequencies,labels",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert "label maps of both domains are predictions of" in outcome.out
    document = json.loads((tmp_path / "b" / "diagnosis.json").read_text())
    assert document["label_maps_from"] == "predictions"
    # Predictions in the source, too: they have no ignored pixels.
    assert document["analyses"]["frequencies"]["ignored"] == {"source": 0, "target": 0}
    assert "predictions of the network" in (tmp_path / "b" / "separability_labels.svg").read_text()


def test_ignored_pixels_can_be_kept(segshift: Segshift, tmp_path: Path) -> None:
    """An ignored corner in one domain only gives it away, unless it is filled."""
    paths = [
        write_toy_dataset(tmp_path / name, count=40, seed=seed, ignored_px=ignored)
        for name, seed, ignored in (("a", 0, 0), ("b", 1, 12))
    ]
    errors = {}
    for keep in (False, True):
        document = segshift(
            "diagnose", *paths, "--out", tmp_path / f"{keep}", "--only", "labels", *FAST[:4], "--patches", 24,
            "--iterations", 40, "--validate-every", 5, "--json", *(["--keep-ignored"] if keep else []),
        ).json()  # fmt: skip
        errors[keep] = document["analyses"]["labels"]["whole"]["error"]
    assert errors[True] < 0.1 and errors[False] > 0.3


def test_bad_input_is_one_line(
    segshift: Segshift, domains: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    def refused(*options: object, source: object = domains[0], target: object = domains[1]) -> str:
        out = tmp_path / "out"
        refusal = segshift("diagnose", source, target, "--out", out, *FAST, *options).refusal()
        assert not out.exists()
        return refusal

    assert "did you mean `labels`?" in refused("--only", "lables")
    assert "give one (--model CKPT)" in refused("--only", "features")
    unlabelled = f"{domains[1]}:unlabelled"
    assert "give a network whose predictions" in refused("--only", "spatial", target=unlabelled)
    assert "in the source and in the target" in refused(target=domains[0])
    assert "needs 8 of each domain" in refused("--images", 7)
    assert "write whole numbers" in refused("--patches", "a,b")
    assert "larger than the shorter side" in refused("--patches", "64")
    assert "less than 2 cells" in refused("--patches", "2")
    assert "stands twice" in refused("--seeds", "1,1")
    assert "--network vgg: no such classifier" in refused("--network", "vgg")
    assert "must be positive" in refused("--lr", "0")
    assert "more than the 8 iterations" in refused("--validate-every", 9)
    assert "nothing for" in refused("--classes", "camvid11")
    assert "--size 9: write it as WIDTHxHEIGHT" in refused("--size", "9")
    assert "sky is their only class in common" in refused("--classes", "sky,")
    assert "gone.yaml" in refused(target=tmp_path / "gone.yaml")
