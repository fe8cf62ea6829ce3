"""`segshift serve` under load: requests side by side, of mixed sizes, some of them broken.

    python benchmarks/serve_load.py RUN [RUN] [--requests 200] [--at_once 8] [--seed 0]

Starts the service on a free port, fills what it keeps by some requests, sends the counted ones through its
HTTP API (upload, call, answer), and prints what became of them and the memory of the service after every
quarter. Exits with 1 when one is lost, a sound image is refused, a broken one is not, or the service is gone.
"""

import argparse
import io
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

SIZES = ((320, 240), (480, 360), (640, 480), (1024, 512), (1280, 720))
BROKEN_SHARE = 0.1
WARM_UP = 60
FILE = {"meta": {"_type": "gradio.FileData"}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def picture(generator: random.Random) -> bytes:
    width, height = generator.choice(SIZES)
    noise = np.random.default_rng(generator.getrandbits(32)).integers(
        0, 256, (height // 8, width // 8, 3), np.uint8
    )
    stream = io.BytesIO()
    Image.fromarray(noise).resize((width, height)).save(stream, generator.choice(("PNG", "JPEG")))
    return stream.getvalue()


def broken(generator: random.Random) -> bytes:
    whole = picture(generator)
    return generator.choice((whole[: len(whole) // 3], b"no image at all", whole[:4], b"%PDF-1.7\n" + whole))


def ask(address: str, model: str, content: bytes) -> tuple[str, float]:
    """What became of a request (`answered`, `refused`, or how it was lost), and seconds."""
    begun = time.monotonic()
    try:
        with httpx.Client(base_url=f"{address}gradio_api", timeout=300, trust_env=False) as client:
            (path,) = (
                client.post("/upload", files={"files": ("photo.png", content)}).raise_for_status().json()
            )
            asked = client.post("/call/predict", json={"data": [{"path": path, **FILE}, model, 0.5]})
            number = asked.raise_for_status().json()["event_id"]
            answer = client.get(f"/call/predict/{number}").raise_for_status().text
            if "event: complete" in answer:
                label = json.loads(answer.partition("data: ")[2])[0]["url"]
                with Image.open(io.BytesIO(client.get(label).raise_for_status().content)) as opened:
                    opened.load()
                outcome = "answered"
            else:
                outcome = "refused" if '"error": "' in answer else "lost: an error without a line"
    except (httpx.HTTPError, KeyError, ValueError, OSError) as error:
        outcome = f"lost: {type(error).__name__}"
    return outcome, time.monotonic() - begun


def memory_mb(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--at_once", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    command = [sys.executable, "-m", "segshift.cli", "serve", *map(str, options.runs), "--json", "--examples"]
    generator = random.Random(options.seed)
    count = options.requests
    wrong = set(generator.sample(range(count), round(BROKEN_SHARE * count)))
    contents = [broken(generator) if index in wrong else picture(generator) for index in range(count)]
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    example = folder / "serve_load_example.png"
    example.write_bytes(contents[next(index for index in range(count) if index not in wrong)])
    command += [str(example), "--port", str(free_port())]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert service.stdout is not None
    text = ""
    while not text.rstrip().endswith("}"):
        line = service.stdout.readline()
        if not line:
            raise SystemExit(service.communicate()[1])
        text += line
    said = json.loads(text)
    sound = [content for index, content in enumerate(contents) if index not in wrong]
    with ThreadPoolExecutor(options.at_once) as pool:  # the latest answers are kept, up to a bound: fill it
        warm = min(len(sound), WARM_UP)
        models = [said["models"][index % len(said["models"])] for index in range(warm)]
        list(pool.map(ask, [said["address"]] * warm, models, sound))
    memory, outcomes, seconds = [memory_mb(service.pid)], Counter(), []
    quarter = max(1, count // 4)
    with ThreadPoolExecutor(options.at_once) as pool:
        for start in range(0, count, quarter):
            part = range(start, min(start + quarter, count))
            models = [said["models"][index % len(said["models"])] for index in part]
            asked = pool.map(ask, [said["address"]] * len(part), models, [contents[index] for index in part])
            for index, (outcome, took) in zip(part, asked, strict=True):
                outcomes[f"{outcome}, {'broken' if index in wrong else 'sound'}"] += 1
                seconds.append(took)
            memory.append(memory_mb(service.pid))
    alive = service.poll() is None
    service.send_signal(signal.SIGINT)
    _, errors = service.communicate(timeout=60)
    example.unlink()
    print(json.dumps({
        "requests": count,
        "at_once": options.at_once,
        "outcomes": dict(sorted(outcomes.items())),
        "alive": alive,
        "seconds_median": round(statistics.median(seconds), 2),
        "seconds_most": round(max(seconds), 2),
        "memory_mb": [round(value) for value in memory],
        "last_words": errors.splitlines(),
    }, indent=2))  # fmt: skip
    right = outcomes["answered, sound"] == count - len(wrong) and outcomes["refused, broken"] == len(wrong)
    return 0 if alive and right else 1


if __name__ == "__main__":
    sys.exit(main())
