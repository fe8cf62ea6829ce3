"""The examples for clusters: what can be seen of them without one."""

import importlib.util
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from segshift.cli import _Commands
from segshift.data.labels import class_set
from segshift.engine.recipe_files import preset_names
from segshift.models import Segmenter, SegmenterConfig

FOLDER = Path(__file__).parents[2] / "examples" / "cluster"
FILES = sorted(FOLDER.glob("*.*"))


def scripts(path: Path) -> list[str]:
    """What a shell would run of an example."""
    if path.suffix == ".sh":
        return [path.read_text()]
    found: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(value[key] for key in ("run", "setup") if isinstance(value.get(key), str))
            found.extend(value["args"] if value.get("command", [])[:1] == ["/bin/bash"] else [])
            for part in value.values():
                look(part)
        elif isinstance(value, list):
            for part in value:
                look(part)

    for document in yaml.safe_load_all(path.read_text()):
        look(document)
    return found


@pytest.mark.parametrize("path", [one for one in FILES if one.suffix != ".py"], ids=lambda one: one.name)
def test_the_shell_understands_it_and_segshift_its_options(path: Path) -> None:
    texts = scripts(path)
    assert texts
    joined = "\n".join(texts)
    for text in texts:
        subprocess.run(["bash", "-n"], input=text, text=True, check=True, capture_output=True)
    calls = re.findall(r"-m segshift\.cli ((?:\\\n|.)+)", joined)
    assert len(calls) == 1
    command, *words = shlex.split(calls[0].replace("\\\n", " ").rstrip("& "))
    options = {name for one in _Commands().commands[command].params for name in one.opts}
    assert {word for word in words if word.startswith("--")} <= options
    presets = re.findall(r"\b[a-z0-9_]+_gta5_cityscapes_[a-z0-9]+\b", path.read_text())
    assert set(presets) <= set(preset_names())


@pytest.mark.process
def test_ray_labels_a_folder_and_keeps_what_is_there(tmp_path: Path) -> None:
    pytest.importorskip(
        "ray", reason='needs `pip install "ray[data]"`, which is too large for every test run'
    )
    spec = importlib.util.spec_from_file_location("ray_predict", FOLDER / "ray_predict.py")
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    network = Segmenter(SegmenterConfig(backbone="segshift_tiny", weights="none"), class_set("cityscapes19"))
    network.save(tmp_path / "model.safetensors")
    photos, out = tmp_path / "photos", tmp_path / "out"
    (photos / "below").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (5, 24, 32, 3), np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(photos / ("below" if number % 2 else ".") / f"{number}.png")
    example.ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        words = (str(tmp_path / "model.safetensors"), str(photos), str(out))
        first = example.label(*words, actors=2, device="cpu")
        (out / "2_label.png").unlink()
        second = example.label(*words, actors=2, device="cpu")
    finally:
        example.ray.shutdown()
    assert first == {"labelled": 5, "kept": 0} and second == {"labelled": 5, "kept": 4}
    with Image.open(out / "2_label.png") as label:
        assert np.array_equal(np.asarray(label), network.predict(noise[2]))
