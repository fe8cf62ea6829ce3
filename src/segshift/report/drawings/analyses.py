"""The pictures of `analyze`, and the numbers that stand in them as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segshift.analysis.embedding import points_table
from segshift.analysis.retrieval import Retrieval
from segshift.analysis.strips import Shown
from segshift.data.labels import ClassSet
from segshift.evaluation import EvaluationResult
from segshift.evaluation.confusion import mean_of_known
from segshift.report.drawings.bars import draw_class_bars
from segshift.report.drawings.confusion import draw_confusion
from segshift.report.drawings.embedding import Embedded, draw_embedding
from segshift.report.drawings.lines import draw_retrieval
from segshift.report.drawings.strips import draw_entropy, draw_strips
from segshift.report.drawings.style import SUFFIXES, model_colors

if TYPE_CHECKING:
    from segshift.report.analyze import AnalysisSettings

Values = NDArray[np.float64]


@dataclass
class Charts:
    """Draws into one folder and remembers what it drew.

    Attributes:
        folder: of the pictures.
        classes: of the models.
        source: what the source is, for subtitles.
        target: what the target is.
        labelled: whether the target's classes are those of its labels; else they are predictions.
        written: file names of the pictures by what they show.
    """

    folder: Path
    classes: ClassSet
    source: str
    target: str
    labelled: bool
    written: dict[str, list[str]] = field(default_factory=dict)

    def gains(self, results: Mapping[str, EvaluationResult]) -> dict[str, Any]:
        """IoU of every model, and what each wins or loses over the first, in bars of points."""
        (reference, first), *others = results.items()
        scored = [first.class_names.index(name) for name in first.scored_names]
        gains = {name: one.iou - first.iou for name, one in others}
        colors = model_colors(list(results))
        draw_class_bars(
            self._chart("gains"),
            {name: (100 * gain[scored]).tolist() for name, gain in gains.items()},
            first.scored_names,
            title=f"Gain over {reference}",
            subtitle=f"IoU minus that of {reference}, on {self.target}",
            unit="points of IoU",
            means={name: 100 * (one.miou - first.miou) for name, one in others},
            mean_name="mIoU",
            colors=colors,
            signed=True,
        )
        return {
            "iou": {name: _scores(one) for name, one in results.items()},
            "gain": {
                name: {
                    "miou": one.miou - first.miou,
                    "classes": by_class(first.class_names, gains[name]),
                }
                for name, one in others
            },
        }

    def confusion(self, results: Mapping[str, EvaluationResult]) -> dict[str, Any]:
        """The confusion matrices on both scales; the counts."""
        counts = {name: one.confusion for name, one in results.items()}
        for scale in ("linear", "log"):
            draw_confusion(
                self._chart(f"confusion_{scale}", "confusion"),
                counts,
                self.classes.names,
                "linear" if scale == "linear" else "log",
                f"each row: where the pixels of one class go, on {self.target}",
            )
        return {name: {"rows": "truth", "pixels": matrix.tolist()} for name, matrix in counts.items()}

    def centers(
        self, *, fada: Mapping[str, Values], clan: Mapping[str, Values], clan_normalized: Mapping[str, Values]
    ) -> dict[str, Any]:
        """Bars of FADA's distance and, beside a reference, of CLAN's normalized one."""
        whose = "" if self.labelled else "\ntarget classes: each network's own predictions"
        where = f"features of {self.source} and {self.target}"
        means = {name: mean_of_known(values) for name, values in fada.items()}
        draw_class_bars(
            self._chart("class_centres_fada", "centres"),
            {name: values.tolist() for name, values in fada.items()},
            self.classes.names,
            title="Class center distance (FADA)",
            subtitle=f"{where}{whose}",
            unit="scatter of the class / squared distance from other classes, mean (lower is better)",
            means=means,
            digits=2,
        )
        reference, *others = clan_normalized
        if others:
            draw_class_bars(
                self._chart("class_centres_clan", "centres"),
                {name: clan_normalized[name].tolist() for name in others},
                self.classes.names,
                title="Cluster center distance between the domains (CLAN)",
                subtitle=f"{where}{whose}",
                unit=f"distance of source and target center, {reference} = 1 (lower is better)",
                means={name: mean_of_known(clan_normalized[name]) for name in others},
                colors=model_colors(list(clan)),
                reference=1.0,
                digits=2,
            )
        names = self.classes.names
        return {
            name: {
                "fada": {"mean": means[name], "classes": by_class(names, fada[name])},
                "clan": {
                    "classes": by_class(names, clan[name]),
                    "normalized_by": reference,
                    "normalized_mean": mean_of_known(clan_normalized[name]),
                    "normalized": by_class(names, clan_normalized[name]),
                },
            }
            for name in fada
        }

    def retrieval(self, found: Mapping[str, Retrieval]) -> dict[str, Any]:
        """The curves |A_k| and |B_k|."""
        first = next(iter(found.values()))
        draw_retrieval(
            self._chart("retrieval"),
            found,
            f"{self.source} and {self.target}; pool: {first.pool_source} + {first.pool_target} of them, "
            "queries: the others",
        )
        return {name: one.to_dict() for name, one in found.items()}

    def embedding(self, found: Mapping[str, Embedded], settings: "AnalysisSettings") -> dict[str, Any]:
        """The t-SNE of patches, classes and images; the points."""
        whose = "" if self.labelled else "\ntarget classes: each network's own predictions"
        draw_embedding(
            self._chart("embedding"),
            found,
            self.classes,
            f"{self.source} and {self.target};\n"
            f"perplexity {settings.perplexity:g}, seed {settings.seed}{whose}",
        )
        return {
            name: {
                level: points_table(plane, points.classes, points.domains, points.images, self.classes.names)
                for level, (points, plane) in embedded.items()
            }
            for name, embedded in found.items()
        }

    def entropy(self, shown: Sequence[Shown], means: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
        """Entropy maps side by side; the mean entropy of both domains."""
        draw_entropy(self._picture("entropy"), shown)
        return {
            name: {
                "source": of_source,
                "target": of_target,
                "pictured": {one.name: float(one.entropy[name].mean()) for one in shown},
            }
            for name, (of_source, of_target) in means.items()
        }

    def strips(self, shown: Sequence[Shown]) -> dict[str, Any]:
        """Image, truth and predictions side by side; which images they are."""
        draw_strips(self._picture("strips"), shown, self.classes)
        return {"images": [one.name for one in shown]}

    def unseen(self, results: Mapping[str, EvaluationResult], where: str) -> dict[str, Any]:
        """IoU on a domain that no model knows."""
        first = next(iter(results.values()))
        scored = [first.class_names.index(name) for name in first.scored_names]
        draw_class_bars(
            self._chart("unseen"),
            {name: (100 * one.iou[scored]).tolist() for name, one in results.items()},
            first.scored_names,
            title="IoU on an unseen domain",
            subtitle=f"the same networks on {where}",
            unit="IoU in %",
            means={name: 100 * one.miou for name, one in results.items()},
            mean_name="mIoU",
        )
        return {
            "scored_classes": list(first.scored_names),
            "iou": {name: _scores(one) for name, one in results.items()},
        }

    def _chart(self, name: str, of: str | None = None) -> Path:
        self.written.setdefault(of or name, []).extend(name + suffix for suffix in SUFFIXES)
        return self.folder / name

    def _picture(self, name: str) -> Path:
        self.written[name] = [f"{name}.png"]
        return self.folder / f"{name}.png"


def by_class(names: Sequence[str], values: Values) -> dict[str, float]:
    """The values of all classes by name, for JSON."""
    return dict(zip(names, values.tolist(), strict=True))


def _scores(result: EvaluationResult) -> dict[str, Any]:
    return {"miou": result.miou, "classes": by_class(result.class_names, result.iou)}
