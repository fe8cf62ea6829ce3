"""Networks in folders of the hub's form, and on a hub that is a folder."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import numpy as np
import pytest

from segshift.errors import InputError
from segshift.models import Segmenter

from .networks import tiny

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub whose repositories are folders."""
    root = tmp_path / "hub"

    class Api:
        def __init__(self, **_: Any) -> None: ...

        def create_repo(self, repository: str, **_: Any) -> None:
            if "/" not in repository:
                raise ValueError("401 Client Error: who are you?")
            (root / repository).mkdir(parents=True, exist_ok=True)

        def upload_folder(self, *, repo_id: str, folder_path: Path, **_: Any) -> SimpleNamespace:
            shutil.copytree(folder_path, root / repo_id, dirs_exist_ok=True)
            return SimpleNamespace(commit_url=f"hub/{repo_id}/commit/1")

    def download(repository: str, *, allow_patterns: list[str], **_: Any) -> str:
        if not (root / repository).is_dir():
            raise OSError("Repository not found.")
        assert set(allow_patterns) == {"model.safetensors", "config.json"}
        return str(root / repository)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return root


def test_a_folder_of_the_hubs_form_is_the_same_network(tmp_path: Path) -> None:
    network = tiny(input_size=(48, 32))
    network.save_pretrained(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "model.safetensors", "config.json", "README.md",
    }  # fmt: skip
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["id2label"]["1"] == "car" and config["label2id"]["car"] == 1
    assert config["config"]["backbone"] == "segshift_tiny"
    again = Segmenter.from_pretrained(tmp_path / "model")
    assert (again.predict(IMAGE) == network.predict(IMAGE)).all()
    assert not again.training


def test_a_card_that_is_there_stays(tmp_path: Path) -> None:
    network = tiny()
    network.save_pretrained(tmp_path, card="# Mine")
    network.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "# Mine"


def test_up_to_the_hub_and_back(hub: Path) -> None:
    network = tiny()
    assert network.push_to_hub("me/streets", card="# Streets") == "hub/me/streets/commit/1"
    assert (hub / "me" / "streets" / "README.md").read_text() == "# Streets"
    assert (Segmenter.from_pretrained("me/streets").predict(IMAGE) == network.predict(IMAGE)).all()


def test_what_the_hub_refuses_is_one_line(hub: Path) -> None:
    with pytest.raises(InputError, match="streets: cannot be uploaded"):
        tiny().push_to_hub("streets")
    with pytest.raises(InputError, match="me/gone: is no folder, and cannot be had from the hub"):
        Segmenter.from_pretrained("me/gone")
