"""Which label-free score ranks checkpoints best? Spearman correlation with the true mIoU, as Markdown.

    python benchmarks/selection_scores.py city_camvid=runs/methods/city_camvid day_dusk=runs/methods/day_dusk

Every argument is a pair of domains: NAME=FOLDER, whose runs (all folders with a metrics.jsonl below it) must
have been trained with `training.evaluate_every` on a labelled evaluation set. Correlations are signed so that
+1 is a perfect score also where lower is better:

- within: over the checkpoints of one run, mean over the runs with three different ones or more;
- across: over all checkpoints of a pair together, so methods are ranked as well;
- methods: over the last checkpoints of a pair's runs;
- loss: mIoU in points that choosing a run's checkpoint by the score costs against its best one (mean).
  The rows "last checkpoint" and "best (target labels)" are what it has to be compared with;
- against the last: runs in which the chosen checkpoint is better than, the same as or worse than the last.
"""

import argparse
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segshift.engine.health import read_records
from segshift.errors import InputError
from segshift.label_free_scores import SCORES, goodness

_LEAST_CHECKPOINTS = 3
_HEADING = (
    "| score | within a run | across runs | last of each run | mIoU lost, points | against the last |",
    "|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Checkpoint:
    """An evaluation: its step, the true mIoU in [0, 1], and its label-free scores."""

    step: int
    miou: float
    scores: Mapping[str, float]


Runs = Mapping[str, Sequence[Checkpoint]]


@dataclass(frozen=True)
class Row:
    """What a score is worth in one pair; NaN where there was too little to tell."""

    within: float
    across: float
    methods: float
    loss: float
    against_last: tuple[int, int, int]


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Pearson's correlation of the ranks, equal values sharing their mean rank; NaN if either is constant."""
    first, second = ranks(a), ranks(b)
    if len(a) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Ranks from 0; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    shared: NDArray[np.float64] = (first + (counts - 1) / 2)[inverse]
    return shared


def read_runs(folder: Path) -> dict[str, list[Checkpoint]]:
    """The checkpoints of every run below a folder that has both scores and labels.

    Raises:
        InputError: none has.
    """
    runs = {}
    for path in sorted(folder.rglob("metrics.jsonl")):
        found = [
            Checkpoint(
                int(record["step"]),
                float(record["evaluation"]["miou"]),
                {name: value for name, value in record["unsupervised"].items() if value is not None},
            )
            for record in read_records(path)
            if record.get("unsupervised") and (record.get("evaluation") or {}).get("miou") is not None
        ]
        if found:
            runs[str(path.parent.relative_to(folder))] = found
    if not runs:
        raise InputError(
            f"{folder}: no run has evaluations with label-free scores; train with training.evaluate_every"
        )
    return runs


def judge(runs: Runs, score: str) -> Row:
    """How well a score ranks the checkpoints of a pair of domains."""
    known = {name: [one for one in checkpoints if score in one.scores] for name, checkpoints in runs.items()}
    known = {name: checkpoints for name, checkpoints in known.items() if checkpoints}
    several = {name: found for name, found in known.items() if len(found) >= _LEAST_CHECKPOINTS}
    within = [_correlation(found, score) for found in several.values()]
    chosen = {
        name: max(found, key=lambda one: goodness(score, one.scores[score]))
        for name, found in several.items()
    }
    return Row(
        within=_mean(within),
        across=_correlation([one for found in known.values() for one in found], score),
        methods=_correlation([found[-1] for found in known.values()], score),
        loss=_mean([_best(several[name]) - one.miou for name, one in chosen.items()]),
        against_last=_outcomes([one.miou - several[name][-1].miou for name, one in chosen.items()]),
    )


def last_loss(runs: Runs) -> float:
    """What keeping the last checkpoint costs, on average, of the same runs."""
    several = [found for found in runs.values() if len(found) >= _LEAST_CHECKPOINTS]
    return _mean([_best(found) - found[-1].miou for found in several])


def table(name: str, runs: Runs) -> str:
    """One pair's table."""
    checkpoints = sum(map(len, runs.values()))
    lines = [
        f"### {name}: {checkpoints} checkpoints of {len(runs)} runs",
        "",
        *_HEADING,
    ]
    for score, what in SCORES.items():
        lines.append(_line(f"{what.words} (`{score}`)", judge(runs, score)))
    lines.append(f"| last checkpoint |  |  |  | {_points(last_loss(runs))} |  |")
    lines.append("| best (target labels) |  |  |  | 0.0 |  |")
    return "\n".join(lines)


def overall(pairs: Mapping[str, Runs]) -> str:
    """The means over the pairs, the best score within runs first."""
    rows = {}
    for score in SCORES:
        judged = [judge(runs, score) for runs in pairs.values()]
        better, same, worse = (sum(one.against_last[place] for one in judged) for place in range(3))
        rows[score] = Row(
            *(
                _mean([getattr(one, key) for one in judged])
                for key in ("within", "across", "methods", "loss")
            ),
            against_last=(better, same, worse),
        )
    order = sorted(rows, key=lambda score: -np.nan_to_num(rows[score].within, nan=-2.0))
    lines = [
        f"### mean over {len(pairs)} pairs",
        "",
        *_HEADING,
    ]
    lines += [_line(f"{SCORES[score].words} (`{score}`)", rows[score]) for score in order]
    lost = _mean([last_loss(runs) for runs in pairs.values()])
    return "\n".join([*lines, f"| last checkpoint |  |  |  | {_points(lost)} |  |"])


def _line(name: str, row: Row) -> str:
    cells = [_signed(row.within), _signed(row.across), _signed(row.methods), _points(row.loss)]
    return f"| {name} | {' | '.join(cells)} | {' / '.join(map(str, row.against_last))} |"


def _outcomes(differences: Sequence[float]) -> tuple[int, int, int]:
    """How many are above, equal to and below 0."""
    return sum(d > 0 for d in differences), sum(d == 0 for d in differences), sum(d < 0 for d in differences)


def _correlation(checkpoints: Sequence[Checkpoint], score: str) -> float:
    good = [goodness(score, one.scores[score]) for one in checkpoints]
    return spearman(good, [one.miou for one in checkpoints])


def _best(checkpoints: Sequence[Checkpoint]) -> float:
    return max(one.miou for one in checkpoints)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan


def _signed(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:+.2f}"


def _points(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{100 * value:.1f}"


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description="Spearman correlation of label-free scores with mIoU.")
    parser.add_argument("pairs", nargs="+", metavar="NAME=FOLDER")
    pairs: dict[str, Runs] = {}
    try:
        for argument in parser.parse_args().pairs:
            name, separator, folder = argument.partition("=")
            if not separator:
                raise InputError(f"{argument}: write NAME=FOLDER")
            pairs[name] = read_runs(Path(folder))
    except InputError as error:
        parser.error(str(error))
    for name, runs in pairs.items():
        print(table(name, runs) + "\n")
    if len(pairs) > 1:
        print(overall(pairs))


if __name__ == "__main__":
    main()
