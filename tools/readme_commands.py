"""Run the commands and the Python of pages that are marked as quick, so that they stay true.

    python tools/readme_commands.py [--keep-pictures] [PAGE.md ...]

A block opened by ```` ```bash quick ```` is run as one script, line by line until one fails. Blocks opened
by ```` ```python quick ```` that follow each other are one program. The blocks run in the order of the page,
all in one temporary folder, as a reader would type them. The virtual environment of the running Python is
first on the PATH.

A page NAME.md shows pictures of `images/NAME/` that its blocks make under that name: each has to be made,
and to look like the one that is kept beside the page. `--keep-pictures` keeps those of this run.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```(bash|python) quick[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
# Another machine's arithmetic may move the edges of what a network predicts, but not what a picture shows.
_MOST_APART = 12.0
# Reads the program that it is, so that a traceback names the page and its line.
_PYTHON = "import sys; exec(compile(sys.stdin.read(), sys.argv[1], 'exec'), {'__name__': '__main__'})"


def quick_blocks(markdown: str) -> list[tuple[str, str]]:
    """Language and contents of the marked blocks, in the order of the page.

    Python blocks that follow each other are joined; empty lines before each make its lines those of the page.
    """
    found: list[tuple[str, str]] = []
    for language, matches in groupby(_BLOCK.finditer(markdown), key=lambda match: match.group(1)):
        if language == "bash":
            found += [(language, match.group(2)) for match in matches]
            continue
        program = ""
        for match in matches:
            line = markdown.count("\n", 0, match.start(2))
            program += "\n" * (line - program.count("\n")) + match.group(2)
        found.append((language, program))
    return found


def run_block(language: str, block: str, folder: Path, page: str) -> subprocess.CompletedProcess[str]:
    """Run one block in `folder`; bash stops at the first command that fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    bash = language == "bash"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block] if bash else [sys.executable, "-c", _PYTHON, page],
        cwd=folder,
        input="" if bash else block,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path},
    )


def check_pictures(page: Path, folder: Path, keep: bool) -> bool:
    """Whether the blocks made the pictures that the page shows in `folder`; `keep` takes them over."""
    shown = re.compile(rf"!\[[^\]]*\]\((images/{page.stem}/[^)]+)\)")
    for link in shown.findall(page.read_text(encoding="utf-8")):
        made, kept = folder / link, page.parent / link
        if not made.is_file():
            print(f"readme_commands: no block of {page.name} makes {link}")
            return False
        if keep:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made, kept)
        elif not kept.is_file() or _apart(made, kept) > _MOST_APART:
            print(
                f"readme_commands: {page.name}: {link} is not what its blocks make; run with --keep-pictures"
            )
            return False
    return True


def _apart(first: Path, second: Path) -> float:
    """How far two pictures are apart at a glance, 0 to 255; those of other sizes entirely."""
    pictures = [Image.open(path).convert("RGB") for path in (first, second)]
    if pictures[0].size != pictures[1].size:
        return 255.0
    small = [np.asarray(one.resize((32, 32), Image.Resampling.BOX), float) for one in pictures]
    return float(np.abs(small[0] - small[1]).mean())


def run_page(page: Path, keep_pictures: bool = False) -> bool:
    """Run a page's quick blocks in one new folder; False at the first that fails, or when there are none."""
    blocks = quick_blocks(page.read_text(encoding="utf-8"))
    if not blocks:
        print(f"readme_commands: {page.name} has no block that opens with ```bash quick or ```python quick")
        return False
    with tempfile.TemporaryDirectory(prefix="segshift-readme-") as folder:
        # Pages refer to the examples as a reader in the checkout would.
        if (ROOT / "examples").is_dir():
            shutil.copytree(ROOT / "examples", Path(folder) / "examples")
        for number, (language, block) in enumerate(blocks, start=1):
            prompt = "$" if language == "bash" else ">"
            lines = [line for line in block.splitlines() if line]
            print("\n".join(f"  {prompt} {line}" for line in lines), flush=True)
            started = time.monotonic()
            result = run_block(language, block, Path(folder), page.name)
            if result.returncode != 0:
                print("\n".join(result.stdout.splitlines()[-40:]))
                print(f"readme_commands: block {number} of {page.name} failed ({result.returncode})")
                return False
            print(f"    ran in {time.monotonic() - started:.1f} s", flush=True)
        if not check_pictures(page, Path(folder), keep_pictures):
            return False
    print(f"{len(blocks)} blocks of {page.name} ran")
    return True


def main(arguments: list[str]) -> int:
    """Run the quick blocks of the pages, of README.md without any; 1 at the first page that fails."""
    keep = "--keep-pictures" in arguments
    pages = [Path(argument) for argument in arguments if not argument.startswith("-")]
    return 0 if all(run_page(page, keep) for page in pages or [ROOT / "README.md"]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
