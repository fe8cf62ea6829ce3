"""Results as the papers print them, a row per model and a column per class: Markdown, CSV and LaTeX."""

import csv
import io
import math
from collections.abc import Callable, Mapping
from typing import Literal

from segshift.evaluation.result import EvaluationResult
from segshift.evaluation.table import class_captions, class_scores, percent, same_classes, summary_scores
from segshift.plain import csv_cell, latex, markdown_cell

TableFormat = Literal["md", "csv", "latex"]


def format_results(results: Mapping[str, EvaluationResult], style: TableFormat) -> str:
    """The whole table as text that ends with a line break.

    Markdown and LaTeX are in percent with one decimal; CSV has fractions in [0, 1] with all digits, and
    nothing where there is no score.

    Args:
        results: row captions and results over the same classes.
        style: md, csv or latex.

    Raises:
        InputError: no result, or results over different classes.
    """
    same_classes(results)
    writers: dict[TableFormat, Callable[[Mapping[str, EvaluationResult]], str]] = {
        "md": _markdown,
        "csv": _csv,
        "latex": _latex,
    }
    return writers[style](results)


def _columns(results: Mapping[str, EvaluationResult]) -> tuple[list[str], list[str]]:
    """Captions of the classes, and of the scores that are one number."""
    first = next(iter(results.values()))
    summary = dict.fromkeys(name for result in results.values() for name in summary_scores(result))
    return class_captions(first), list(summary)


def _scores(result: EvaluationResult, summary: list[str]) -> list[float]:
    found = summary_scores(result)
    return [*class_scores(result), *(found.get(name, math.nan) for name in summary)]


def _markdown(results: Mapping[str, EvaluationResult]) -> str:
    classes, summary = _columns(results)
    captions = [markdown_cell(name) for name in (*classes, *summary)]
    lines = [
        f"| model | {' | '.join(captions)} |",
        f"|---|{'---:|' * len(captions)}",
    ]
    for caption, result in results.items():
        cells = [markdown_cell(caption), *map(percent, _scores(result, summary))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _csv(results: Mapping[str, EvaluationResult]) -> str:
    classes, summary = _columns(results)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["model", *map(csv_cell, classes), *summary])
    for caption, result in results.items():
        scores = _scores(result, summary)
        writer.writerow([csv_cell(caption), *("" if math.isnan(score) else repr(score) for score in scores)])
    return stream.getvalue()


def _latex(results: Mapping[str, EvaluationResult]) -> str:
    """Needs the packages booktabs and graphicx (for the turned captions)."""
    classes, summary = _columns(results)
    means = [name for name in summary if name in ("mIoU", "mIoU*")]
    rows = [_scores(result, means) for result in results.values()]
    cells = [[percent(score).replace("n/a", "--") for score in row] for row in rows]
    if len(rows) > 1:
        for column in range(len(cells[0])):
            # What is equal in print is equally good, so the printed numbers decide.
            printed = [float(row[column]) if row[column] != "--" else -math.inf for row in cells]
            for row, value in zip(cells, printed, strict=True):
                if value == max(printed) > min(printed):
                    row[column] = rf"\textbf{{{row[column]}}}"
    turned = " & ".join(rf"\rotatebox{{90}}{{{latex(name)}}}" for name in classes)
    lines = [
        r"% \usepackage{booktabs,graphicx}",
        rf"\begin{{tabular}}{{l{'c' * (len(classes) + len(means))}}}",
        r"\toprule",
        rf"Method & {turned} & {' & '.join(latex(name) for name in means)} \\",
        r"\midrule",
        *(rf"{latex(caption)} & {' & '.join(row)} \\" for caption, row in zip(results, cells, strict=True)),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"
