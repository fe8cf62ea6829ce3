"""The pictures of `analyze`: a report's scores and analyses as PNG and SVG."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segshift.evaluation import EvaluationResult
from segshift.report import plots
from segshift.report.content import Report
from segshift.report.drawings.bars import draw_class_bars
from segshift.report.drawings.confusion import draw_confusion
from segshift.report.drawings.embedding import draw_embedding
from segshift.report.drawings.lines import draw_lines
from segshift.report.drawings.strips import draw_entropy, draw_strips
from segshift.report.drawings.style import SUFFIXES
from segshift.report.evidence import ReportSettings
from segshift.report.plots import Bars, ClassBars


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
        rows = [
            Bars(
                name,
                place,
                np.array([100 * one.iou[one.class_names.index(c)] for c in names]),
                mean=100 * one.miou,
            )
            for place, (name, one) in enumerate(results.items())
        ]
        bars = ClassBars("IoU on an unseen domain", "IoU in %", names, rows, mean_name="mIoU")
        draw_class_bars(self._chart("unseen"), bars, f"the same networks on {where}")

    def _gains(self) -> None:
        bars = plots.gains(self.report.runs)
        assert bars is not None  # it is asked for where a gain was measured
        where = f"IoU minus that of {self.report.runs[0].name}, on {self.report.target}"
        draw_class_bars(self._chart("gains"), bars, where)

    def _confusion(self) -> None:
        shown = plots.confusions(self.report.runs)
        where = f"each row: where the pixels of one class go, on {self.report.target}"
        draw_confusion(self._chart("confusion_linear", "confusion"), shown, "linear", where)
        draw_confusion(self._chart("confusion_log", "confusion"), shown, "log", where)

    def _centers(self) -> None:
        for name, bars in plots.distances(self.report).items():
            where = f"features of {self._domains}{self._whose}"
            draw_class_bars(self._chart(f"class_centres_{name}", "centres"), bars, where)

    def _retrieval(self) -> None:
        first = next(iter(self.report.evidence.retrieval.values()))
        draw_lines(
            self._chart("retrieval"),
            plots.retrieval(self.report),
            "Cross-domain retrieval: neighbors from the other domain",
            f"{self._domains}; pool: {first.pool_source} + {first.pool_target} of them, queries: the others",
        )

    def _embedding(self) -> None:
        draw_embedding(
            self._chart("embedding"),
            self.report,
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
