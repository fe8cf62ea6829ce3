"""Run the README's commands that are marked as quick, so that they stay true.

    python tools/readme_commands.py [PAGE.md ...]

A block opened by ```` ```bash quick ```` is run as one script, line by line until one fails. The blocks run
in the order of the page, all in one temporary folder, as a reader would type them. The virtual
environment of the running Python is first on the PATH.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```bash quick[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


def quick_blocks(markdown: str) -> list[str]:
    """The contents of the fenced blocks whose info string is `bash quick`, in the order of the page."""
    return [match.group(1) for match in _BLOCK.finditer(markdown)]


def run_block(block: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one block with bash in `folder`; it stops at the first command that fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path},
    )


def run_page(page: Path) -> bool:
    """Run a page's quick blocks in one new folder; False at the first that fails, or when there are none."""
    blocks = quick_blocks(page.read_text(encoding="utf-8"))
    if not blocks:
        print(f"readme_commands: {page.name} has no block that opens with ```bash quick")
        return False
    with tempfile.TemporaryDirectory(prefix="segshift-readme-") as folder:
        # Pages refer to the examples as a reader in the checkout would.
        if (ROOT / "examples").is_dir():
            shutil.copytree(ROOT / "examples", Path(folder) / "examples")
        for number, block in enumerate(blocks, start=1):
            print("\n".join(f"  $ {line}" for line in block.strip().splitlines()), flush=True)
            started = time.monotonic()
            result = run_block(block, Path(folder))
            if result.returncode != 0:
                print("\n".join(result.stdout.splitlines()[-40:]))
                print(f"readme_commands: block {number} of {page.name} failed ({result.returncode})")
                return False
            print(f"    ran in {time.monotonic() - started:.1f} s", flush=True)
    print(f"{len(blocks)} blocks of {page.name} ran")
    return True


def main(arguments: list[str]) -> int:
    """Run the quick blocks of the pages, of README.md without any; 1 at the first page that fails."""
    pages = [Path(argument) for argument in arguments] or [ROOT / "README.md"]
    return 0 if all(run_page(page) for page in pages) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
