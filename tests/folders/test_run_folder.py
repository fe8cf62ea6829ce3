from pathlib import Path

import pytest

from segshift.errors import InputError
from segshift.folders import RunFolder


def test_a_model_file_and_its_folder_mean_the_same_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.model.touch()
    assert RunFolder.of(run.model) == RunFolder.of(tmp_path) == run


def test_stages_are_numbered_from_one_and_found_in_their_order(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    names = [f"stage{number}" for number in range(11)]
    folders = run.stages(names)
    assert folders[0].path == tmp_path / "1_stage0"
    for folder in folders:
        folder.path.mkdir()
    for other in ("checkpoints", "best", "1 copy"):
        (tmp_path / other).mkdir()
    assert run.stages_there() == folders


def test_checkpoints_are_listed_by_their_steps(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.checkpoint_steps() == []
    run.checkpoints.mkdir()
    for path in (run.checkpoint(200), run.checkpoint(5), run.checkpoints / ".step_00000300.x.partial.pt"):
        path.touch()
    assert run.checkpoint_steps() == [5, 200]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "\x00",
        "[" * 100_000,
        '{"evaluation": "x"}',
        '{"evaluation": {"iou": [1]}}',
        '{"evaluation": {"iou": {"a": 1}}, "confusion": null}',
        '{"evaluation": {"iou": {"a": 1}}, "confusion": [[1, 2]]}',
        '{"evaluation": {"iou": {"a": 1}}, "confusion": [[-1]]}',
    ],
)
def test_damaged_results_are_named(tmp_path: Path, text: str) -> None:
    run = RunFolder(tmp_path)
    assert run.read_results() is None and not run.is_finished
    run.results.write_text(text)
    with pytest.raises(InputError, match=r"results\.json: is no JSON document.*--resume"):
        run.read_results()
    run.results.write_text('{"name": "a"}')
    assert run.read_results() == {"name": "a"}


def test_the_command_that_goes_on_is_quoted(tmp_path: Path) -> None:
    command = RunFolder(Path("a b")).continue_command()
    assert command == "segshift train 'a b/config.yaml' --out 'a b' --resume"
