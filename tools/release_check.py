"""Build the wheel and the source archive, look into them, and install the wheel into clean environments.

    python tools/release_check.py [--python PYTHON ...] [--full PYTHON]

Each PYTHON gets an environment with the wheel and the few packages that commands without a network need:
they have to work there, and what needs PyTorch has to say so in one line. `--full` installs all that plain
use needs, PyTorch included (some 5 GB, removed afterwards), prints its size, and trains, predicts and
reports. Exit status 1 at the first failure.
"""

import argparse
import shlex
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What `--help`, `presets`, `data list` and refusals import; no PyTorch among them.
LIGHT = ("typer", "rich", "pydantic", "PyYAML", "numpy", "pillow")
# Files without which an installed segshift would lack something, below the package.
NEEDED = (
    "py.typed",
    "presets/clan.yaml",
    "presets/stated/clan.yaml",
    "presets/papers/clan_gta5_cityscapes_resnet101.yaml",
    "comparisons/demo.yaml",
    "data/catalog/gta5.yaml",
    "data/catalog/lists/camvid_train.txt",
    "data/class_sets.yaml",
    "analysis/diagnosis/measured.yaml",
    "evaluation/published.yaml",
    "report/report.html.j2",
    "export/card.md.j2",
)
SOURCES = ("README.md", "CHANGELOG.md", "CITATION.cff", "Makefile", "constraints.txt", "docs/compare.md")
# Command, exit status, and words that its output has to hold.
WITHOUT_TORCH = (
    ("--version", 0, "segshift "),
    ("--help", 0, "compare"),
    ("presets list", 0, "clan"),
    ("presets show clan_gta5_cityscapes_resnet101", 0, "provenance"),
    ("data list", 0, "gta5"),
    ("train clna", 2, "did you mean"),
    ("train clan --set training.stepz=3", 2, "training.stepz"),
    ("data check gone.yaml", 2, "gone.yaml"),
    ("evaluate gone --data city:game", 2, "gone"),
    ("doctor clan", 2, "the package torch is not installed"),
)
PLAIN = (
    ("presets list", 0, "clan"),
    ("train clan --source city:game --target city:dusk --smoke --out smoke", 2, "segshift[opencv]"),
    ("diagnose city:game city:dusk", 2, "segshift[opencv]"),
    ("compare --methods clan --source city:game --target city:dusk", 2, "segshift[report]"),
)


class ReleaseError(RuntimeError):
    """Something that is to be released does not work."""


def run(words: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """A process in `folder`, away from the checkout, with what it printed."""
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def must(words: Sequence[str | Path], folder: Path) -> str:
    """What a process printed that has to succeed."""
    done = run(words, folder)
    if done.returncode:
        raise ReleaseError(
            f"{shlex.join(map(str, words))} ended with {done.returncode}:\n{done.stdout[-3000:]}"
        )
    return done.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """The wheel and the source archive, made as a release is: the wheel from the archive."""
    must([sys.executable, "-m", "build", "--outdir", folder, ROOT], folder)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def check_contents(wheel: Path, archive: Path) -> None:
    """Nothing is missing from either, and the wheel holds the package alone."""
    names = set(zipfile.ZipFile(wheel).namelist())
    absent = [name for name in NEEDED if f"segshift/{name}" not in names]
    foreign = [
        name for name in names if not name.startswith(("segshift/", "segshift-")) or "__pycache__" in name
    ]
    with tarfile.open(archive) as opened:
        inside = {name.partition("/")[2] for name in opened.getnames()}
    absent += [name for name in SOURCES if name not in inside]
    tracked = must(["git", "ls-files", "src/segshift"], ROOT).split()
    absent += [name for name in tracked if name.removeprefix("src/") not in names]
    if absent or foreign:
        raise ReleaseError(f"absent: {absent[:10]}; foreign: {foreign[:10]}")
    size = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {len(names)} files, {size:.1f} MB; {archive.name}: {len(inside)} files")


def environment(python: str, folder: Path) -> Path:
    """A new virtual environment's `bin`."""
    must([python, "-m", "venv", folder], folder.parent)
    return folder / "bin"


def install(binaries: Path, *words: str) -> None:
    """Install into an environment."""
    pip: list[str | Path] = [
        binaries / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    must([*pip, *words], binaries.parent)


def check_commands(binaries: Path, folder: Path, commands: Sequence[tuple[str, int, str]]) -> None:
    """Every command ends as it has to, and none with a traceback."""
    for command, status, words in commands:
        done = run([binaries / "segshift", *shlex.split(command)], folder)
        if done.returncode != status or words not in done.stdout or "Traceback" in done.stdout:
            raise ReleaseError(f"segshift {command}: status {done.returncode}\n{done.stdout[-2000:]}")


def megabytes(folder: Path) -> float:
    """The size of all files below a folder in MB."""
    return (
        sum(one.stat().st_size for one in folder.rglob("*") if one.is_file() and not one.is_symlink()) / 1e6
    )


def check_light(python: str, wheel: Path, folder: Path) -> None:
    """The wheel, without PyTorch."""
    binaries = environment(python, folder / "light")
    install(binaries, "--no-deps", str(wheel))
    install(binaries, *LIGHT)
    check_commands(binaries, folder, WITHOUT_TORCH)
    version = must([binaries / "python", "--version"], folder).strip()
    print(f"{version}: {len(WITHOUT_TORCH)} commands without PyTorch end as they should")


def check_full(python: str, wheel: Path, folder: Path) -> None:
    """The wheel with all that plain use needs; then with the extra `full`, a run and its predictions."""
    binaries = environment(python, folder / "plain")
    install(binaries, str(wheel))
    must([binaries / "python", "-m", "pip", "check"], folder)
    check_commands(binaries, folder, PLAIN)
    print(f"plain installation: {megabytes(folder / 'plain'):.0f} MB")
    install(binaries, f"{wheel}[full]")
    print(f"with the extra full: {megabytes(folder / 'plain'):.0f} MB")
    for command in (
        "data synthesize city:game --count 4 --val 2 --size 64x48 --out game",
        "train clan --smoke --out smoke",
        "predict smoke game/images/val --out seen",
        "report smoke --target game/dataset.yaml:val --pictures 1 --images 2 --out report.html",
    ):
        must([binaries / "segshift", *command.split()], folder)
    print(f"{must([binaries / 'python', '--version'], folder).strip()}: trains, predicts and reports")


def main(arguments: list[str]) -> int:
    """Build, look, install; 1 at the first failure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--python", nargs="*", default=[sys.executable], help="interpreters for the light check"
    )
    parser.add_argument("--full", help="interpreter for the check with PyTorch")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="segshift-release-") as name:
        try:
            folder = Path(name)
            wheel, archive = build(folder)
            check_contents(wheel, archive)
            for number, python in enumerate(options.python):
                (folder / str(number)).mkdir()
                check_light(python, wheel, folder / str(number))
            if options.full:
                check_full(options.full, wheel, folder)
        except ReleaseError as error:
            print(f"release_check: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
