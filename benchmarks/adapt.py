"""What `segshift adapt` gains on a CamVid-day network with dusk photos, and what the label-free scores said.

    python benchmarks/adapt.py --camvid ROOT --seeds 0,1,2 --out runs/adapt_day_dusk
    python benchmarks/adapt.py --camvid ROOT --photos day_train --judged day_test --out runs/adapt_day_dusk

Per seed one source-only network by day (benchmarks/camvid_day.yaml) is adapted with `dusk_train` by every
method and judged on `dusk_test`, whose labels choose nothing. The gain is over the network that was adapted;
its interval is that of the mean over the seeds, for other images of the same kind. Finished runs are kept, so
that the same command goes on after an end, and more seeds can be added. The second command is the control
without a shift: photos by day, where there is nothing to adapt to.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from segshift.data.dataset import SegmentationDataset
from segshift.data.resolve import resolve
from segshift.engine.adapt import PRESETS, Adaptation, adapt
from segshift.engine.comparison import spread
from segshift.engine.presets import load_recipe
from segshift.engine.run import run_recipe
from segshift.evaluation import EvaluationResult, evaluate
from segshift.evaluation.paired import compare_paired
from segshift.models import Inference, Segmenter, load
from segshift.progress import Progress
from segshift.terminal import Terminal, TerminalProgress

SOURCE = Path(__file__).with_name("camvid_day.yaml")
# Enough to see a direction on two shared cores; the presets' own numbers are 100 and 300.
STEPS = {"adabn": None, "tent": 60, "self_training": 120}
SETTINGS = ("training.workers=0", "training.threads=1", "evaluation.unsupervised_images=16")


def adapted(folder: Path, method: str, photos: str, judged: str, seed: int, progress: Progress) -> Adaptation:
    """One method on one seed's network."""
    return adapt(
        folder / "day",
        photos,
        folder / f"{method}_{photos.rpartition(':')[2]}",
        method=method,
        steps=STEPS[method],
        seed=seed,
        settings=(*SETTINGS, f"evaluation.dataset={judged}", "evaluation.batch_size=2"),
        resume=True,
        progress=progress,
    )


def judge(segmenter: Segmenter, judged: str) -> EvaluationResult:
    """The scores on images that nothing was adapted to, with counts per image."""
    data = SegmentationDataset(resolve(judged), segmenter.classes)
    return evaluate(segmenter, data, Inference(), batch_size=2)


def points(values: Sequence[float]) -> str:
    """Mean ± standard deviation of differences in points, and the single values."""
    single = ", ".join(f"{100 * value:+.1f}" for value in values)
    std = spread(values)
    mean = f"{100 * statistics.fmean(values):+.1f}"
    return f"{mean} ({single})" if std is None else f"{mean} ± {100 * std:.1f} ({single})"


def print_table(
    before: Sequence[EvaluationResult],
    after: Mapping[str, Sequence[EvaluationResult]],
    told: Mapping[str, Sequence[Adaptation]],
) -> None:
    """Markdown: what was kept, the gain with its interval, and the gain had the best checkpoint been kept."""
    base = ", ".join(f"{100 * result.miou:.1f}" for result in before)
    print(f"mIoU of the network by day: {base}\n")
    print("| method | kept | gain of what was kept | 95 % interval | gain of the best | label-free score |")
    print("|---|---|---|---|---|---|")
    for method, results in after.items():
        found = told[method]
        paired = compare_paired(list(before), list(results))
        low, high = (f"{100 * end:+.1f}" for end in paired.interval)
        gains = [result.miou - start.miou for start, result in zip(before, results, strict=True)]
        best = [one.after["target_miou"] - one.before["target_miou"] for one in found]
        score = ", ".join(f"{one.before[one.score]:.3f} → {one.after[one.score]:.3f}" for one in found)
        kept = ", ".join(one.kept for one in found)
        print(f"| {method} | {kept} | {points(gains)} | {low} to {high} | {points(best)} | {score} |")


def main() -> None:
    """Train, adapt, judge and print."""
    parser = argparse.ArgumentParser(description="Gain of segshift adapt, CamVid day to dusk.")
    parser.add_argument("--camvid", required=True, help="folder of CamVid")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--methods", default=",".join(PRESETS))
    parser.add_argument("--out", type=Path, default=Path("runs/adapt_day_dusk"))
    parser.add_argument("--photos", default="dusk_train", help="split to adapt to")
    parser.add_argument("--judged", default="dusk_test", help="split to judge on")
    arguments = parser.parse_args()
    photos, judged = (f"camvid:{arguments.camvid}:{split}" for split in (arguments.photos, arguments.judged))
    progress, methods = TerminalProgress(Terminal(stderr=True)), arguments.methods.split(",")
    before: list[EvaluationResult] = []
    after: dict[str, list[EvaluationResult]] = {method: [] for method in methods}
    told: dict[str, list[Adaptation]] = {method: [] for method in methods}
    for seed in map(int, arguments.seeds.split(",")):
        folder = arguments.out / f"seed_{seed}"
        data = [f"{key}.dataset=camvid:{arguments.camvid}" for key in ("source", "evaluation")]
        recipe = load_recipe(SOURCE, [f"seed={seed}", "target.dataset=null", *data])
        run_recipe(recipe, folder / "day", progress, resume=True)
        before.append(judge(load(folder / "day"), judged))
        for method in methods:
            outcome = adapted(folder, method, photos, judged, seed, progress)
            told[method].append(outcome)
            after[method].append(judge(outcome.segmenter, judged))
    print_table(before, after, told)


if __name__ == "__main__":
    main()
