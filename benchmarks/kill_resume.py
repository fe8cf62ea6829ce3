"""Kill jobs with SIGKILL at random instants, call again each time, compare with undisturbed ones.

    python benchmarks/kill_resume.py --kills 50 --seed 0
    python benchmarks/kill_resume.py --kills 50 --jobs "run of two,stages of two"      # two processes, gloo

Single runs, recipes of stages, comparisons, sweeps, `data prepare`, `data translate`, `data pseudo-label` and
`predict` take turns. Checkpoints are written after every step, so that many kills fall into a save. Each job
runs in a fork of this process, which has loaded everything: a kill then hits work and not imports. Of jobs of
two processes one is killed, and the other has to end by itself with one line, or both are, as it falls.
Prints one line per kill, and exits 0 only if all models, logs, images and labels are equal bit for bit, and
nothing is left over.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

import segshift.cli.compare
import segshift.cli.predict
import segshift.cli.prepare
import segshift.cli.pseudo_label
import segshift.cli.sweep
import segshift.cli.train
import segshift.cli.translate
import segshift.engine.run  # noqa: F401 (loaded before the forks)
from segshift.cli import main as segshift_main
from segshift.data.labels import class_set
from segshift.folders.lock import writer_of
from segshift.models import Segmenter, SegmenterConfig
from segshift.models.translators import ResnetGenerator, TranslatorConfig, save_translator

CITY = "city:{style},size=64x48,count=8,val=2"
STEPS = 24
TRAINING: dict[str, Any] = {
    "batch_size": 2, "checkpoint_every": 1, "log_every": 1, "threads": 1, "workers": 1, "steps": STEPS,
}  # fmt: skip
RECIPE: dict[str, Any] = {
    "name": "kill",
    "source": {"dataset": CITY.format(style="game"), "augmentation": {"crop": [48, 48], "flip": True}},
    "target": {"dataset": CITY.format(style="dusk"), "augmentation": {"crop": [48, 48], "flip": True}},
    "model": {"backbone": "segshift_tiny", "weights": "none"},
    "method": {"name": "align", "terms": [{"term": "advent", "base_channels": 8}, {"term": "mean_teacher"}]},
    "training": TRAINING,
}
SHORT = {"training": {"steps": STEPS // 3}}
STAGES = [
    {"name": "first", "changes": SHORT},
    {"name": "labels", "kind": "pseudo_label", "settings": {"rule": "none"}},
    {
        "name": "second",
        "changes": {**SHORT, "source": {"also": [{"dataset": "{labels}/dataset.yaml:train"}]}},
    },
]
COMPARISON = {
    "name": "two",
    "recipe": {**RECIPE, "training": {**TRAINING, "steps": STEPS // 3}},
    "start": {"training": {"steps": STEPS // 3}, "method": {"terms": []}},
    "arms": {
        "control": {"label": "control", "changes": {"method": {"terms": []}}},
        "advent": {
            "label": "advent",
            "changes": {"method": {"terms": [{"term": "advent", "base_channels": 8}]}},
        },
    },
    "seeds": [0],
}
# What a job makes; the rest holds times and paths.
MADE = (".safetensors", ".jsonl", ".png", ".jpg", ".npz", "dataset.yaml")


@dataclass
class Job:
    """A kind of work, and how its kills went.

    Attributes:
        words: the command's, without the folder.
        processes: that it runs in.
        kills: so far.
        saving: of them while a file was half written.
        alone: seconds until a process ended whose other one was killed, each time.
        equal: whether all that it made was as it should be.
    """

    words: list[str]
    processes: int = 1
    kills: int = 0
    saving: int = 0
    alone: list[float] = field(default_factory=list)
    equal: bool = True
    expected: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def row(self) -> dict[str, Any]:
        """What is printed of it."""
        counts: dict[str, Any] = {
            "kills": self.kills,
            "while_saving": self.saving,
            "files": len(self.expected),
        }
        if self.processes > 1:
            counts |= {
                "one_of_two": len(self.alone),
                "other_ended_after_s": round(max(self.alone, default=0.0), 1),
            }
        return {**counts, "seconds": round(self.seconds, 1), "equal": self.equal}


def jobs(folder: Path) -> dict[str, Job]:
    """All kinds of work, on files in a folder."""
    kinds = {
        "run": RECIPE,
        "two": {**RECIPE, "training": {**TRAINING, "workers": 0, "steps": STEPS // 2}},
        "stages": {**RECIPE, "stages": STAGES},
        "compare": COMPARISON,
    }
    for name, data in kinds.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(data))
    torch.manual_seed(0)
    translator = folder / "translator.safetensors"
    save_translator(translator, ResnetGenerator(TranslatorConfig(base_channels=4, blocks=1)))
    model = folder / "model.safetensors"
    Segmenter(SegmenterConfig(backbone="segshift_tiny", weights="none"), class_set("cityscapes19")).save(
        model
    )
    many = "city:dusk,size=96x64,count=48,val=2"
    return {
        "run": Job(["train", f"{folder}/run.yaml", "--resume"]),
        "run of two": Job(["train", f"{folder}/two.yaml", "--resume"], processes=2),
        "stages of two": Job(["train", f"{folder}/stages.yaml", "--resume"], processes=2),
        "stages": Job(["train", f"{folder}/stages.yaml", "--resume"]),
        "compare": Job(["compare", f"{folder}/compare.yaml"]),
        "sweep": Job(["sweep", f"{folder}/run.yaml", "--set", "training.steps=4,8"]),
        "prepare": Job(["data", "prepare", many, "--size", "48x32", "--workers", "1"]),
        "translate": Job(["data", "translate", str(translator), "--data", many]),
        "pseudo-label": Job(["data", "pseudo-label", str(model), "--data", many, "--portion", "0.5"]),
        "predict": Job(["predict", str(model), f"{folder}/photos", "--probabilities"]),
    }


def start(words: list[str], heard: Path | None = None, before: Callable[[], None] | None = None) -> int:
    """The process id of a fork that runs the command; what it says goes into a file, or nowhere.

    Args:
        words: of the command.
        heard: the file.
        before: called in the fork before the command.
    """
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.setsid()
        if before is not None:
            before()
        file = os.open(heard or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.argv = ["segshift", *words]
        segshift_main()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        os._exit(status)


def start_all(job: Job, out: Path) -> list[int]:
    """The forks of a job's processes; what the r-th says goes into `said_r.txt` beside the folder."""
    words = [*job.words, "--out", str(out)]
    if job.processes == 1:
        return [start(words, said(out, 0))]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(job.processes)}
    ranks = [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(job.processes)]
    return [
        start(words, said(out, rank), partial(os.environ.update, launched))
        for rank, launched in enumerate(ranks)
    ]


def said(out: Path, rank: int) -> Path:
    """The file of what a process says."""
    return out.parent / f"said_{rank}.txt"


def to_the_end(job: Job, out: Path) -> float:
    """Run a job in a folder until it is done; the seconds. Raises RuntimeError if it fails."""
    since = time.monotonic()
    out.parent.mkdir(parents=True, exist_ok=True)
    for rank, child in enumerate(start_all(job, out)):
        _, status = os.waitpid(child, 0)
        if status:
            raise RuntimeError(
                f"{' '.join(job.words)}: status {os.waitstatus_to_exitcode(status)}, "
                f"{said(out, rank).read_text()[-1000:]}"
            )
    return time.monotonic() - since


def made(out: Path) -> dict[str, str]:
    """Hashes of what a job made, and the names of what no job should leave."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if ".partial" in path.name or path.name == ".lock":
            found[name] = "left over"
        elif path.is_file() and name.endswith(MADE) and "checkpoints" not in name:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def killed(job: Job, out: Path, after_s: float, draw: random.Random) -> bool:
    """Start a job and kill one or all of its processes so long after; False if they ended by themselves.

    Raises:
        RuntimeError: the process that was left did not end within a minute, or not with one line.
    """
    children = start_all(job, out)
    until = time.monotonic() + after_s
    while time.monotonic() < until or not together(job, out, children):
        if os.waitpid(children[0], os.WNOHANG)[0]:
            for child in children[1:]:
                os.waitpid(child, 0)
            return False
        time.sleep(0.002)
    one = job.processes > 1 and draw.random() < 0.5
    victim = draw.randrange(job.processes)
    for child in [children[victim]] if one else children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if one:
        rank = 1 - victim
        seconds, status = ended_alone(children[rank])
        if status == 0:
            return True  # it had nothing left to do with the other
        job.alone.append(seconds)
        lines = [line for line in said(out, rank).read_text().splitlines() if line.startswith("stopped: ")]
        if len(lines) != 1 or "Traceback" in said(out, rank).read_text():
            raise RuntimeError(f"the process that was left said {said(out, rank).read_text()[-2000:]}")
    return True


def together(job: Job, out: Path, children: list[int]) -> bool:
    """Whether a job's processes have found each other: then the main one takes the folder."""
    writer = writer_of(out)
    return job.processes == 1 or (writer is not None and writer.pid in children)


def ended_alone(child: int) -> tuple[float, int]:
    """Seconds until a process ended by itself, and its status. Raises RuntimeError after a minute."""
    since = time.monotonic()
    while time.monotonic() - since < 60:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return time.monotonic() - since, os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise RuntimeError("the process that was left did not end within a minute")


def torment(job: Job, folder: Path, kills: int, draw: random.Random, say: Callable[[str], None]) -> None:
    """Kill a job `kills` times; each round of it is run to its end and compared."""
    job.seconds = to_the_end(job, folder / "straight")
    job.expected = made(folder / "straight")
    for number in range(1000):
        out = folder / f"killed_{number}"
        while job.kills < kills:
            if not killed(job, out, draw.uniform(0.0, 0.7) * job.seconds, draw):
                break
            job.kills += 1
            saving = any(".partial" in path.name for path in out.rglob(".*"))
            job.saving += saving
            say(f"kill {job.kills} {'while saving' if saving else 'between saves'}")
        to_the_end(job, out)
        found = made(out)
        wrong = [name for name in {*found, *job.expected} if found.get(name) != job.expected.get(name)]
        if wrong:
            job.equal = False
            say(f"differs: {', '.join(sorted(wrong)[:5])}")
        else:
            say(f"to the end after {job.kills} kills, equal")
        if job.kills >= kills:
            return


def main() -> int:
    """Run the experiment; 0 if nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", help="only these kinds, by commas")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        all_jobs = jobs(root)
        chosen = {name: all_jobs[name] for name in (arguments.jobs or ",".join(all_jobs)).split(",")}
        photos(root)
        for index, (name, job) in enumerate(chosen.items()):
            share = arguments.kills // len(chosen) + (index < arguments.kills % len(chosen))
            (root / name).mkdir()

            def say(line: str, name: str = name) -> None:
                print(f"{name}: {line}", flush=True)

            torment(job, root / name, share, draw, say)
    rows: dict[str, Any] = {name: job.row() for name, job in chosen.items()}
    rows["kills"] = sum(job.kills for job in chosen.values())
    rows["while_saving"] = sum(job.saving for job in chosen.values())
    print(json.dumps(rows, indent=1))
    return 0 if all(job.equal for job in chosen.values()) else 1


def photos(root: Path) -> None:
    """Images for `predict`, as the city draws them; this also renders what the jobs need, once."""
    from segshift.data.resolve import resolve

    for style in ("game", "dusk"):
        resolve(CITY.format(style=style))
    (root / "photos").mkdir()
    for sample in resolve("city:dusk,size=96x64,count=48,val=2").samples:
        (root / "photos" / sample.image.name).write_bytes(sample.image.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
