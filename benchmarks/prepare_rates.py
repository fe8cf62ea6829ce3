"""Loading rates: the originals, `PIL` open + resize as the public codes do it, and a prepared set.

    python benchmarks/prepare_rates.py --images 24 --rounds 5

Makes originals like GTA5's, 1914x1052 PNGs of 3 to 4 MB (rendered city images, enlarged, with sensor noise),
prepares them at 1280x720, and loads every pair in the three ways in turn, so that whatever else the machine
does meets all of them alike. One thread; rates are per second of CPU time, that is per core. The files are in
the page cache, so that a slow disk adds its megabytes per image. Prints a Markdown table.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from segshift.city.scene import render
from segshift.data.augmentation import Augmentation
from segshift.data.dataset import SegmentationDataset
from segshift.data.prepare import prepare
from segshift.data.resolve import resolve

ORIGINAL = (1914, 1052)
RENDERED = (1280, 720)
SIZE = (1280, 720)
MEAN_BGR = np.array([104.00698793, 116.66876762, 122.67891434], np.float32)
SPEC = """
name: like_gta5
root: .
splits:
  train: {images: "images/*.png", labels: "labels/{stem}.png"}
classes: cityscapes19
labels: {kind: train_ids}
"""


def make_originals(folder: Path, count: int) -> Path:
    """The data set of enlarged, noisy city images; returns its YAML."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    noise = np.random.default_rng(0)
    for index in range(count):
        scene = render("game", index, RENDERED)
        image = cv2.resize(scene.image, ORIGINAL, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        noisy = np.clip(image + noise.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
        label = cv2.resize(scene.label, ORIGINAL, interpolation=cv2.INTER_NEAREST)
        Image.fromarray(noisy).save(folder / f"images/{index:05}.png")
        Image.fromarray(label).save(folder / f"labels/{index:05}.png")
    spec = folder / "like_gta5.yaml"
    spec.write_text(SPEC)
    return spec


def load_as_public_codes(image_path: Path, label_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Open, resize (bicubic and nearest), float, BGR, minus the mean, channels first: AdaptSegNet's order."""
    image = Image.open(image_path).convert("RGB").resize(SIZE, Image.Resampling.BICUBIC)
    label = Image.open(label_path).resize(SIZE, Image.Resampling.NEAREST)
    pixels = np.asarray(image, np.float32)[:, :, ::-1] - MEAN_BGR
    return pixels.transpose(2, 0, 1).copy(), np.asarray(label, np.float32).copy()


def measure(ways: dict[str, Callable[[int], object]], count: int, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every way for all images, one number per round; the ways take turns image by image."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(rounds):
        total = dict.fromkeys(names, 0.0)
        for index in range(count):
            turn = (number + index) % len(names)
            for name in names[turn:] + names[:turn]:
                start = time.process_time()
                ways[name](index)
                total[name] += time.process_time() - start
        for name in names:
            seconds[name].append(total[name])
    return seconds


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description="Loading rates of originals and prepared files.")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        original = resolve(str(make_originals(folder / "raw", arguments.images)))
        start = time.process_time()
        [report] = prepare(str(folder / "raw/like_gta5.yaml"), folder / "out", size=SIZE, workers=1)
        making = arguments.images / (time.process_time() - start)
        prepared = resolve(str(folder / "out/dataset.yaml"))
        resize = Augmentation(resize=SIZE)
        ours = SegmentationDataset(original, original.classes, resize)
        fast = SegmentationDataset(prepared, prepared.classes, resize)

        def public(index: int) -> object:
            sample = original.samples[index]
            assert sample.label is not None
            return load_as_public_codes(sample.image, sample.label)

        ways: dict[str, Callable[[int], object]] = {
            "PIL open + resize of the originals, as public codes": public,
            "segshift on the originals": ours.__getitem__,
            "segshift on the prepared set": fast.__getitem__,
        }
        measure(ways, min(2, arguments.images), 1)  # libraries and caches warm up
        seconds = measure(ways, arguments.images, arguments.rounds)
    base = seconds[next(iter(ways))]
    sizes = [report.original_bytes, report.original_bytes, report.prepared_bytes]
    print("| way | images/s per core | times PIL (every round) | MB per pair |")
    print("|---|---|---|---|")
    for (way, spent), size in zip(seconds.items(), sizes, strict=True):
        ratios = [one / other for one, other in zip(base, spent, strict=True)]
        rate = statistics.median(arguments.images / one for one in spent)
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {way} | {rate:.1f} | {spread} | {size / arguments.images / 1e6:.2f} |")
    print(f"\nConversion: {making:.1f} pairs/s per core; once.")


if __name__ == "__main__":
    main()
