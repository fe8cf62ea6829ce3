"""`segshift serve` refuses what cannot work before it starts."""

from pathlib import Path

import pytest

from tests.cli.conftest import Segshift


def test_what_is_missing_is_one_line(
    segshift: Segshift, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no such file" in segshift("serve", tmp_path / "gone").refusal()
    assert "--auth-file" in segshift("serve", trained, "--auth-file", tmp_path / "gone").refusal()
    monkeypatch.setattr("segshift.cli.commands.serve.find_spec", lambda name: None)
    assert 'pip install "segshift[serve]"' in segshift("serve", trained).refusal()
