"""Run the commands and the Python of pages that are marked as quick, so that they stay true.

    python -m tools.readme_commands [--jobs 2] [--keep-pictures] [PAGE.md ...]

Without pages: README.md and every page under docs/ that has a marked block. `--jobs` of them run at the same
time, each in a folder of its own; what a page printed comes as a whole, in the order of the pages.

A block opened by ```` ```bash quick ```` is run as one script, line by line until one fails. Blocks opened
by ```` ```python quick ```` that follow each other are one program. The blocks run in the order of the page,
as a reader would type them. The virtual environment of the running Python is first on the PATH, but for
`segshift`, which does not import PyTorch anew each time (forked_segshift.py).

A page NAME.md shows pictures of `images/NAME/` that its blocks make under that name: each has to be made,
and to look like the one that is kept beside the page. `--keep-pictures` keeps those of this run.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from tools.forked_segshift import forked_segshift

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


def run_block(
    language: str, block: str, folder: Path, page: str, commands: Path
) -> subprocess.CompletedProcess[str]:
    """Run one block in `folder`, with `commands` on the PATH; bash stops at the first command that fails."""
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ.get("PATH", "")])
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


def picture_fault(page: Path, folder: Path, keep: bool) -> str | None:
    """What is wrong with the pictures that the page's blocks made in `folder`; `keep` takes them over."""
    shown = re.compile(rf"!\[[^\]]*\]\((images/{page.stem}/[^)]+)\)")
    for link in shown.findall(page.read_text(encoding="utf-8")):
        made, kept = folder / link, page.parent / link
        if not made.is_file():
            return f"no block of {page.name} makes {link}"
        if keep:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made, kept)
        elif not kept.is_file() or _apart(made, kept) > _MOST_APART:
            return f"{page.name}: {link} is not what its blocks make; run with --keep-pictures"
    return None


def _apart(first: Path, second: Path) -> float:
    """How far two pictures are apart at a glance, 0 to 255; those of other sizes entirely."""
    pictures = [Image.open(path).convert("RGB") for path in (first, second)]
    if pictures[0].size != pictures[1].size:
        return 255.0
    small = [np.asarray(one.resize((32, 32), Image.Resampling.BOX), float) for one in pictures]
    return float(np.abs(small[0] - small[1]).mean())


@dataclass(frozen=True)
class Outcome:
    """How a page fared: what it printed, and in one line what was wrong, if anything was."""

    page: Path
    output: str
    fault: str | None


def run_page(page: Path, commands: Path, keep_pictures: bool = False) -> Outcome:
    """Run a page's quick blocks in one new folder, up to the first that fails; to have none is a fault."""
    blocks = quick_blocks(page.read_text(encoding="utf-8"))
    if not blocks:
        return Outcome(page, "", f"{page.name} has no block that opens with ```bash quick or ```python quick")
    output: list[str] = []
    with tempfile.TemporaryDirectory(prefix="segshift-readme-") as name:
        folder = Path(name)
        # Pages refer to the examples as a reader in the checkout would.
        if (ROOT / "examples").is_dir():
            shutil.copytree(ROOT / "examples", folder / "examples")
        for number, (language, block) in enumerate(blocks, start=1):
            prompt = "$" if language == "bash" else ">"
            output += [f"  {prompt} {line}" for line in block.splitlines() if line]
            started = time.monotonic()
            result = run_block(language, block, folder, page.name, commands)
            if result.returncode != 0:
                output += result.stdout.splitlines()[-40:]
                failed = f"block {number} of {page.name} failed ({result.returncode})"
                return Outcome(page, "\n".join(output), failed)
            output.append(f"    ran in {time.monotonic() - started:.1f} s")
        fault = picture_fault(page, folder, keep_pictures)
    if fault is None:
        output.append(f"{len(blocks)} blocks of {page.name} ran")
    return Outcome(page, "\n".join(output), fault)


def marked_pages(root: Path = ROOT) -> list[Path]:
    """README.md, and the pages under docs/ that have quick blocks."""
    pages = sorted((root / "docs").rglob("*.md"))
    return [root / "README.md", *(page for page in pages if quick_blocks(page.read_text(encoding="utf-8")))]


def main() -> int:
    """Run the pages and print what they printed; 1 when one failed, with the faults once more at the end."""
    parser = argparse.ArgumentParser(description="Run the commands and the Python of pages marked as quick.")
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE.md", help="default: all that have some")
    parser.add_argument("--jobs", type=int, default=2, help="pages that run at the same time")
    parser.add_argument("--keep-pictures", action="store_true", help="keep the pictures that the pages made")
    arguments = parser.parse_args()
    pages = arguments.pages or marked_pages()
    faults: list[str] = []
    with forked_segshift() as commands, ThreadPoolExecutor(arguments.jobs) as workers:
        for outcome in workers.map(lambda page: run_page(page, commands, arguments.keep_pictures), pages):
            print(outcome.output, flush=True)
            if outcome.fault is not None:
                faults.append(outcome.fault)
                print(f"readme_commands: {outcome.fault}", flush=True)
    if faults:
        print(f"readme_commands: {len(faults)} of {len(pages)} pages failed:\n  " + "\n  ".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
