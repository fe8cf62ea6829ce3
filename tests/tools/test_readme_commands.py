"""The README runner: it finds the marked blocks, runs them, and fails when one of them does."""

import subprocess
import sys
from pathlib import Path

import pytest
from tools.readme_commands import ROOT, marked_pages

pytestmark = pytest.mark.process


def run(page: Path, *others: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.readme_commands", str(page), *others]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def write(folder: Path, *blocks: str, name: str = "page.md") -> Path:
    page = folder / name
    page.write_text("# A page\n\n" + "\n\ntext\n\n".join(blocks) + "\n")
    return page


def test_only_the_marked_blocks_run_and_share_a_folder(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    page = write(
        tmp_path,
        "```bash\nexit 3\n```",
        "```bash quick\necho one > file\n```",
        "```python\nraise SystemExit(4)\n```",
        f"```bash quick\ncp file {witness}\n```",
    )
    result = run(page)
    assert result.returncode == 0, result.stdout
    assert "2 blocks of page.md ran" in result.stdout
    assert witness.read_text() == "one\n"


def test_a_failing_line_in_the_middle_of_a_block_fails_the_page(tmp_path: Path) -> None:
    result = run(write(tmp_path, "```bash quick\necho before\nfalse\necho after\n```"))
    assert result.returncode == 1
    assert "before" in result.stdout.splitlines()
    assert "after" not in result.stdout.splitlines()


def test_a_page_without_marked_blocks_is_a_failure(tmp_path: Path) -> None:
    assert run(write(tmp_path, "```bash\ntrue\n```")).returncode == 1


def test_python_blocks_in_a_row_are_one_program_in_the_same_folder(tmp_path: Path) -> None:
    page = write(
        tmp_path,
        "```bash quick\necho 41 > number\n```",
        "```python quick\nnumber = int(open('number').read())\n```",
        "```python quick\nopen('next', 'w').write(str(number + 1))\n```",
        "```bash quick\ngrep -q 42 next\n```",
    )
    result = run(page)
    assert result.returncode == 0, result.stdout
    assert "3 blocks of page.md ran" in result.stdout


def test_a_failing_line_of_python_is_named_by_its_line_in_the_page(tmp_path: Path) -> None:
    page = write(tmp_path, "```python quick\nx = 1\n```", "```python quick\ny = x\nassert y == 2\n```")
    line = page.read_text().splitlines().index("assert y == 2") + 1
    result = run(page)
    assert result.returncode == 1 and f'File "page.md", line {line}' in result.stdout


def test_pictures_are_made_by_the_page_kept_on_demand_and_compared(tmp_path: Path) -> None:
    def page(color: str, name: str = "a") -> Path:
        draw = f"from PIL import Image; Image.new('RGB', (9, 9), '{color}').save('images/page/a.png')"
        make = f'```bash quick\nmkdir -p images/page\npython -c "{draw}"\n```'
        return write(tmp_path, make, f"![what it is](images/page/{name}.png)")

    assert "is not what its blocks make" in run(page("red")).stdout
    assert run(page("red"), "--keep-pictures").returncode == 0
    assert (tmp_path / "images" / "page" / "a.png").is_file()
    assert run(page("red")).returncode == 0
    assert "is not what its blocks make" in run(page("blue")).stdout
    assert "no block of page.md makes images/page/b.png" in run(page("red", "b")).stdout


def test_pages_run_side_by_side_and_print_in_their_order(tmp_path: Path) -> None:
    # Each page waits for what the other does: one after the other they would never end.
    meet = "touch {0}/{1}; until test -e {0}/{2}; do sleep 0.1; done; {3}"
    slow = f"```bash quick\n{meet.format(tmp_path, 'a', 'b', 'sleep 1; touch own')}\n```"
    quick = f"```bash quick\n{meet.format(tmp_path, 'b', 'a', 'test ! -e own')}\n```"
    result = run(write(tmp_path, slow, name="slow.md"), str(write(tmp_path, quick, name="quick.md")))
    assert result.returncode == 0, result.stdout
    assert result.stdout.index("1 blocks of slow.md ran") < result.stdout.index("1 blocks of quick.md ran")


def test_a_failed_page_is_named_at_the_end_and_the_others_still_run(tmp_path: Path) -> None:
    broken = write(tmp_path, "```bash quick\necho the reason\nexit 3\n```", name="broken.md")
    sound = write(tmp_path, "```bash quick\ntrue\n```", name="sound.md")
    result = run(broken, str(sound), "--jobs", "1")
    assert result.returncode == 1
    assert "the reason" in result.stdout and "1 blocks of sound.md ran" in result.stdout
    assert "1 of 2 pages failed" in result.stdout
    assert result.stdout.splitlines()[-1].strip() == "block 1 of broken.md failed (3)"


def test_every_page_with_marked_blocks_is_run(tmp_path: Path) -> None:
    (tmp_path / "docs" / "methods").mkdir(parents=True)
    write(tmp_path, "```bash quick\ntrue\n```", name="README.md")
    write(tmp_path, "```bash\ntrue\n```", name="docs/other.md")
    write(tmp_path, "```python quick\npass\n```", name="docs/methods/deep.md")
    assert marked_pages(tmp_path) == [tmp_path / "README.md", tmp_path / "docs" / "methods" / "deep.md"]


def test_the_python_of_the_tool_is_first_on_the_path(tmp_path: Path) -> None:
    here = Path(sys.executable).parent
    assert (
        run(write(tmp_path, f'```bash quick\ntest "$(command -v python)" = "{here}/python"\n```')).returncode
        == 0
    )
