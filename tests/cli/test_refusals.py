"""Bad input ends with status 2, nothing on stdout, and one line on stderr that says what to do."""

from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.cli.conftest import Segshift

PLACES = ("RUN", "DATA", "TMP", "IMAGE")


@pytest.fixture
def files(tmp_path: Path, trained: Path, toy_target: Path) -> dict[str, str]:
    """What the words in capitals stand for."""
    model = (trained / "model.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(model[: len(model) // 2])
    (tmp_path / "not_a_model.safetensors").write_text("hello")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (48, 32)).save(tmp_path / name / "x.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.png").write_bytes((tmp_path / "a" / "x.png").read_bytes()[:60])
    (tmp_path / "typo.yaml").write_text("name: mine\ntraining: {stepps: 3}\n")
    (tmp_path / "twice.yaml").write_text("name: mine\nname: other\n")
    (tmp_path / "bracket.yaml").write_text("training: {steps: [1, 2]}\n")
    comparison = {"name": "x", "recipe": {"extends": "source_only"}, "arms": {"control": {"label": "c"}}}
    (tmp_path / "comparison.yaml").write_text(yaml.safe_dump(comparison))
    return {
        "RUN": str(trained),
        "DATA": str(toy_target),
        "TMP": str(tmp_path),
        "IMAGE": str(tmp_path / "a" / "x.png"),
    }


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train advnt", "did you mean `advent`"),
        ("train TMP/gone.yaml", "gone.yaml: no such file"),
        ("train TMP/typo.yaml", "unknown key `training.stepps`; did you mean `steps`"),
        ("train TMP/twice.yaml", "the key 'name' stands twice"),
        ("train TMP/bracket.yaml", "`training.steps` = [1, 2]:"),
        ("train source_only --set training.steps", "write it as key.subkey=value"),
        ("train source_only --set training.steps=many", "`training.steps` = 'many'"),
        ("train source_only --source TMP/gone.yaml --out TMP/run", "gone.yaml"),
        ("train source_only --source camvdi:TMP --out TMP/run", "did you mean `camvid`"),
        ("train source_only --source camvid:TMP/gone --out TMP/run", "TMP/gone"),
        ("train source_only --source city:gmae --out TMP/run", "did you mean `game`"),
        ("train source_only --source DATA --set classes=[sky,tree] --out TMP/run", "tree"),
        ("train adabn", "trains nothing"),
        ("compare TMP/comparison.yaml --seeds 0,0", "a seed stands twice"),
        ("compare TMP/comparison.yaml --seeds one,two", "--seeds one,two: write whole numbers"),
        ("compare TMP/comparison.yaml --seeds -1", "write whole numbers"),
        ("compare TMP/gone.yaml", "gone.yaml: no such file"),
        ("compare TMP/typo.yaml", "unknown key `training`"),
        ("demo --seeds 1,,2 --out TMP/demo", "write whole numbers"),
        ("evaluate TMP/gone --data DATA", "gone"),
        ("evaluate TMP/cut.safetensors --data DATA", "not a complete safetensors file"),
        ("evaluate RUN --data TMP/gone.yaml", "gone.yaml"),
        ("evaluate RUN --data DATA:tset", "tset"),
        ("evaluate RUN --data DATA:unlabelled", "label"),
        ("evaluate RUN --data DATA --size big", "--size big: write it as WIDTHxHEIGHT"),
        ("evaluate RUN --data DATA --size 0x32", "--size 0x32"),
        ("evaluate RUN --data DATA --window 32", "--window 32: write it as WIDTHxHEIGHT"),
        ("evaluate RUN --data DATA --scales big,1", "--scales big,1: write positive numbers"),
        ("evaluate RUN --data DATA --scales 1,0", "write positive numbers"),
        ("evaluate RUN --data DATA --scales nan", "positive numbers"),
        ("evaluate RUN --data DATA --scales 1,inf", "positive numbers"),
        ("predict RUN TMP/gone.png --out TMP/out", "gone.png: no such file or folder"),
        ("predict RUN TMP/empty --out TMP/out", "holds no images"),
        ("predict RUN TMP/a/x.png TMP/b/x.png --out TMP/out", "would both be written as x"),
        ("predict RUN TMP/a TMP/b --out TMP/out", "would both be written as x"),
        ("predict RUN TMP/broken.png --out TMP/out", "broken.png"),
        ("predict RUN TMP/typo.yaml --out TMP/out", "typo.yaml"),
        ("predict TMP/cut.safetensors IMAGE --out TMP/out", "not a complete safetensors file"),
        ("predict TMP/not_a_model.safetensors IMAGE --out TMP/out", "not a complete safetensors file"),
        ("predict TMP IMAGE --out TMP/out", "model.safetensors"),
        ("presets show advnt", "did you mean `advent`"),
        ("data check TMP/gone.yaml", "gone.yaml"),
        ("data check TMP", "is a folder; describe it in a YAML file"),
        ("data synthesize city:gmae --out TMP/city", "game"),
        ("data synthesize city:game --size big --out TMP/city", "--size big: write it as WIDTHxHEIGHT"),
    ],
)
def test_one_line(segshift: Segshift, files: dict[str, str], command: str, message: str) -> None:
    for word in PLACES:
        command = command.replace(word, files[word])
        message = message.replace(word, files[word])
    refusal = segshift(*command.split()).refusal()
    assert message in refusal, refusal
    assert "Traceback" not in refusal and "\\[" not in refusal


def test_nothing_is_written_for_bad_input(segshift: Segshift, files: dict[str, str]) -> None:
    folder = Path(files["TMP"])
    before = sorted(folder.rglob("*"))
    segshift("predict", files["RUN"], folder / "gone.png", "--out", folder / "out").refusal()
    segshift("predict", files["RUN"], folder / "a", folder / "b", "--out", folder / "out").refusal()
    segshift("train", "source_only", "--source", "city:gmae", "--out", folder / "run").refusal()
    assert sorted(folder.rglob("*")) == before


def test_a_missing_root_fails_the_check(segshift: Segshift, tmp_path: Path) -> None:
    outcome = segshift("data", "check", f"camvid:{tmp_path}/gone")
    assert outcome.status == 2 and f"{tmp_path}/gone" in outcome.out + outcome.err


def test_what_the_parser_refuses_also_has_status_2(segshift: Segshift) -> None:
    for arguments in (["trian"], ["train"], ["train", "advent", "--nonsense"]):
        outcome = segshift(*arguments)
        assert outcome.status == 2 and outcome.out == "" and "Traceback" not in outcome.err
