"""The pictures of `analyze`: a report's scores and analyses as PNG and SVG."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segshift.evaluation import EvaluationResult
from segshift.evaluation.confusion import mean_of_known
from segshift.report.content import Report
from segshift.report.drawings.bars import draw_class_bars
from segshift.report.drawings.confusion import draw_confusion
from segshift.report.drawings.embedding import draw_embedding
from segshift.report.drawings.lines import draw_retrieval
from segshift.report.drawings.strips import draw_entropy, draw_strips
from segshift.report.drawings.style import SUFFIXES, model_colors
from segshift.report.evidence import ReportSettings


@dataclass
class Drawings:
    """Draws a report into one folder and remembers what it drew.

    Attributes:
        folder: of the pictures.
        report: what was measured.
        settings: how.
        written: file names of the pictures by what they show.
    """

    folder: Path
    report: Report
    settings: ReportSettings
    written: dict[str, list[str]] = field(default_factory=dict)

    def draw(self, analyses: Sequence[str]) -> None:
        """Draw some of gains, confusion, centres, retrieval, embedding, entropy and strips."""
        drawn_by = self.drawn_by()
        for name in analyses:
            # A third domain has results of its own.
            if name != "unseen":
                drawn_by[name]()

    def drawn_by(self) -> dict[str, Callable[[], None]]:
        """What draws each analysis."""
        return {
            "gains": self._gains,
            "confusion": self._confusion,
            "centres": self._centers,
            "retrieval": self._retrieval,
            "embedding": self._embedding,
            "entropy": self._entropy,
            "strips": self._strips,
        }

    def unseen(self, results: Mapping[str, EvaluationResult], where: str) -> None:
        """IoU on a domain that no model knows."""
        names = next(iter(results.values())).scored_names
        draw_class_bars(
            self._chart("unseen"),
            {
                name: [100 * float(one.iou[one.class_names.index(c)]) for c in names]
                for name, one in results.items()
            },
            names,
            title="IoU on an unseen domain",
            subtitle=f"the same networks on {where}",
            unit="IoU in %",
            means={name: 100 * one.miou for name, one in results.items()},
            mean_name="mIoU",
        )

    def _gains(self) -> None:
        reference = self.report.runs[0].name
        gains = {run.name: run.gain for run in self.report.runs if run.gain is not None}
        draw_class_bars(
            self._chart("gains"),
            {name: (100 * gain.class_difference).tolist() for name, gain in gains.items()},
            next(iter(gains.values())).class_names,
            title=f"Gain over {reference}",
            subtitle=f"IoU minus that of {reference}, on {self.report.target}",
            unit="points of IoU",
            means={name: 100 * gain.difference for name, gain in gains.items()},
            mean_name="mIoU",
            colors=model_colors([run.name for run in self.report.runs]),
            signed=True,
        )

    def _confusion(self) -> None:
        counts = {run.name: run.confusion for run in self.report.runs}
        where = f"each row: where the pixels of one class go, on {self.report.target}"
        names = self.report.classes.names
        draw_confusion(self._chart("confusion_linear", "confusion"), counts, names, "linear", where)
        draw_confusion(self._chart("confusion_log", "confusion"), counts, names, "log", where)

    def _centers(self) -> None:
        evidence, names = self.report.evidence, self.report.classes.names
        where = f"features of {self._domains}{self._whose}"
        draw_class_bars(
            self._chart("class_centres_fada", "centres"),
            {name: values.tolist() for name, values in evidence.fada_distance.items()},
            names,
            title="Class center distance (FADA)",
            subtitle=where,
            unit="scatter of the class / squared distance from other classes, mean (lower is better)",
            means={name: mean_of_known(values) for name, values in evidence.fada_distance.items()},
            digits=2,
        )
        if evidence.clan_distance:
            reference = self.report.runs[0].name
            draw_class_bars(
                self._chart("class_centres_clan", "centres"),
                {name: values.tolist() for name, values in evidence.clan_distance.items()},
                names,
                title="Cluster center distance between the domains (CLAN)",
                subtitle=where,
                unit=f"distance of source and target center, {reference} = 1 (lower is better)",
                means={name: mean_of_known(values) for name, values in evidence.clan_distance.items()},
                colors=model_colors([run.name for run in self.report.runs]),
                reference=1.0,
                digits=2,
            )

    def _retrieval(self) -> None:
        found = self.report.evidence.retrieval
        first = next(iter(found.values()))
        draw_retrieval(
            self._chart("retrieval"),
            found,
            f"{self._domains}; pool: {first.pool_source} + {first.pool_target} of them, queries: the others",
        )

    def _embedding(self) -> None:
        draw_embedding(
            self._chart("embedding"),
            self.report.evidence.embedding,
            self.report.classes,
            f"{self._domains};\n"
            f"perplexity {self.settings.perplexity:g}, seed {self.settings.seed}{self._whose}",
        )

    def _entropy(self) -> None:
        draw_entropy(self._picture("entropy"), self.report.shown)

    def _strips(self) -> None:
        draw_strips(self._picture("strips"), self.report.shown, self.report.classes)

    @property
    def _domains(self) -> str:
        return f"{self.report.source} and {self.report.target}"

    @property
    def _whose(self) -> str:
        return "" if self.report.target_labelled else "\ntarget classes: each network's own predictions"

    def _chart(self, name: str, of: str | None = None) -> Path:
        self.written.setdefault(of or name, []).extend(name + suffix for suffix in SUFFIXES)
        return self.folder / name

    def _picture(self, name: str) -> Path:
        self.written[name] = [f"{name}.png"]
        return self.folder / f"{name}.png"
