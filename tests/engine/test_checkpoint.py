"""The checkpoints folder: what is kept, what is swept away, what is refused."""

import os
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import SGD, Optimizer

from segshift.engine.checkpoint import Checkpoints
from segshift.errors import InputError
from segshift.folders import RunFolder


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()


def parts(value: float = 1.0) -> tuple[nn.Linear, dict[str, Optimizer]]:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(value)
    optimizer = SGD(layer.parameters(), lr=0.1, momentum=0.9)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return layer, {"segmenter": optimizer}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_comes_back_with_optimizers_and_randomness(tmp_path: Path) -> None:
    checkpoints = Checkpoints(RunFolder(tmp_path))
    layer, optimizers = parts(3.0)
    checkpoints.save(1, *parts(1.0), "abc")
    torch.manual_seed(7)
    checkpoints.save(12, layer, optimizers, "abc")
    drawn = torch.rand(3)
    other, other_optimizers = parts(5.0)
    torch.manual_seed(99)
    assert checkpoints.load_latest(other, other_optimizers, "abc") == 12
    assert torch.equal(torch.rand(3), drawn)
    for mine, theirs in zip(layer.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert torch.equal(
            optimizers["segmenter"].state[mine]["momentum_buffer"],
            other_optimizers["segmenter"].state[theirs]["momentum_buffer"],
        )


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_stay(tmp_path: Path, keep: int) -> None:
    checkpoints = Checkpoints(RunFolder(tmp_path), keep)
    # 9, 10, 100: the order is that of numbers, whatever the number of digits.
    for step in (0, 9, 10, 100, 99_999_999):
        checkpoints.save(step, *parts(), "abc")
    assert checkpoints.run.checkpoint_steps() == [0, 9, 10, 100, 99_999_999][-keep:]


def test_an_empty_or_missing_folder_means_step_zero(tmp_path: Path) -> None:
    layer, optimizers = parts()
    assert Checkpoints(RunFolder(tmp_path)).load_latest(layer, optimizers, "abc") == 0
    assert Checkpoints(RunFolder(tmp_path / "missing")).load_latest(layer, optimizers, "abc") == 0
    assert Checkpoints(RunFolder(tmp_path / "missing")).run.checkpoint_steps() == []


def test_what_a_killed_save_left_is_swept_and_other_files_are_not(tmp_path: Path) -> None:
    checkpoints = Checkpoints(RunFolder(tmp_path))
    checkpoints.save(4, *parts(), "abc")
    for name in (".step_00000006.x1y2.partial.pt", "notes.txt", "step_6.pt", "step_00000008.pt.bak"):
        (tmp_path / "checkpoints" / name).write_text("half")
    assert checkpoints.load_latest(*parts(), "abc") == 4
    assert files(tmp_path / "checkpoints") == [
        "notes.txt",
        "step_00000004.pt",
        "step_00000008.pt.bak",
        "step_6.pt",
    ]


def test_the_sweep_knows_the_name_that_a_save_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the power went off in the middle of a save: the partial file stays behind."""
    checkpoints = Checkpoints(RunFolder(tmp_path))
    checkpoints.save(4, *parts(), "abc")

    def killed(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch, "save", killed)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        checkpoints.save(6, *parts(), "abc")
    assert len(files(tmp_path / "checkpoints")) == 2 and checkpoints.run.checkpoint_steps() == [4]
    assert checkpoints.load_latest(*parts(), "abc") == 4
    assert files(tmp_path / "checkpoints") == ["step_00000004.pt"]


def test_a_save_that_fails_drops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(RunFolder(tmp_path), keep=1)
    checkpoints.save(4, *parts(), "abc")

    def full(state: object, path: Path) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(6, *parts(), "abc")
    assert files(tmp_path / "checkpoints") == ["step_00000004.pt"]


def test_another_fingerprint_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    checkpoints = Checkpoints(RunFolder(tmp_path))
    checkpoints.save(4, *parts(1.0), "abc")
    layer, optimizers = parts(5.0)
    before = layer.weight.detach().clone()
    with pytest.raises(InputError, match=r"step_00000004\.pt: was written with other settings.*--out"):
        checkpoints.load_latest(layer, optimizers, "xyz")
    assert torch.equal(layer.weight, before)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    torch.save({"format": 1, "x": Evil()}, tmp_path / "checkpoints" / "step_00000001.pt")
    with pytest.raises(InputError, match="cannot be read"):
        Checkpoints(RunFolder(tmp_path)).load_latest(*parts(), "abc")
    assert not (tmp_path / "ran").exists()


def test_a_foreign_file_is_refused_in_one_line(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(1)}, tmp_path / "checkpoints" / "step_00000001.pt")
    with pytest.raises(InputError, match="other settings"):
        Checkpoints(RunFolder(tmp_path)).load_latest(*parts(), "abc")


def test_a_full_disk_is_one_line_and_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, checkpoints = nn.Linear(2, 2), Checkpoints(RunFolder(tmp_path))
    checkpoints.save(1, method, {}, "same")

    def full(state: object, path: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc] unexpected pos 64 vs 0\nmore")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InputError, match=r"cannot be written .*--resume") as error:
        checkpoints.save(2, method, {}, "same")
    assert "\n" not in str(error.value) and checkpoints.run.checkpoint_steps() == [1]


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_every_flipped_bit_is_seen_and_the_older_checkpoint_is_taken(tmp_path: Path) -> None:
    checkpoints = Checkpoints(RunFolder(tmp_path))
    checkpoints.save(4, *parts(1.0), "abc")
    newest = checkpoints.save(6, *parts(2.0), "abc")
    whole = newest.read_bytes()
    for bit in range(0, 8 * len(whole), 8 * len(whole) // 150 | 1):
        newest.write_bytes(whole)
        flip(newest, bit)
        step, lines = checkpoints.newest_whole()
        assert step == 4 and len(lines) == 1 and "step_00000006.pt" in lines[0], bit
        assert files(tmp_path / "checkpoints") == ["step_00000004.pt", "step_00000006.pt.damaged"]


def test_only_damaged_checkpoints_are_an_error_and_stay(tmp_path: Path) -> None:
    newest = Checkpoints(RunFolder(tmp_path)).save(6, *parts(), "abc")
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.raises(InputError, match=r"step_00000006\.pt: cannot be read.*damaged.*another --out"):
        Checkpoints(RunFolder(tmp_path)).load_latest(*parts(), "abc")
    assert files(tmp_path / "checkpoints") == ["step_00000006.pt.damaged"]


def test_one_of_an_earlier_version_without_a_checksum_is_taken(tmp_path: Path) -> None:
    path = Checkpoints(RunFolder(tmp_path)).save(6, *parts(3.0), "abc")
    torch.save({**torch.load(path, weights_only=True), "format": 1}, path)
    layer, optimizers = parts(5.0)
    assert Checkpoints(RunFolder(tmp_path)).load_latest(layer, optimizers, "abc") == 6
    # A whole one always has its checksum.
    torch.save({**torch.load(path, weights_only=True), "format": 2}, path)
    with pytest.raises(InputError, match="damaged"):
        Checkpoints(RunFolder(tmp_path)).load_latest(layer, optimizers, "abc")


@pytest.mark.parametrize("key", ["method", "optimizers", "torch_rng"])
@pytest.mark.parametrize("value", [None, {}, [1], {"weight": 3}])
def test_strange_content_is_one_line(tmp_path: Path, key: str, value: object) -> None:
    path = Checkpoints(RunFolder(tmp_path)).save(6, *parts(), "abc")
    torch.save({**torch.load(path, weights_only=True), "format": 1, key: value}, path)
    with pytest.raises(InputError, match=r"step_00000006\.pt: does not fit"):
        Checkpoints(RunFolder(tmp_path)).load_latest(*parts(), "abc")


def test_a_pipe_in_place_of_a_checkpoint_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "checkpoints" / "step_00000006.pt")
    with pytest.raises(InputError, match=r"step_00000006\.pt: is a named pipe"):
        Checkpoints(RunFolder(tmp_path)).newest_whole()
