"""What `segshift evaluate` prints: tables for people, or one document for machines and papers."""

from collections.abc import Iterator
from typing import Any

from segshift.cli.commands.evaluate import Format
from segshift.cli.output import console, print_json, results
from segshift.evaluation import (
    EvaluationResult,
    PairedComparison,
    format_results,
    protocol_lines,
)
from segshift.evaluation.formats import TableFormat
from segshift.evaluation.table import percent
from segshift.plain import counted
from segshift.report.terminal import class_tables, paired_table, single_table, summary_table
from segshift.terminal import say

_TEXTS: dict[Format, TableFormat] = {Format.md: "md", Format.csv: "csv", Format.latex: "latex"}


def print_report(
    shown: Format,
    document: dict[str, Any],
    found: dict[str, EvaluationResult],
    comparison: PairedComparison | None,
    where: str,
) -> None:
    """Results to stdout; what is said about a Markdown, CSV or LaTeX table goes to stderr.

    Args:
        shown: the format.
        document: what JSON holds.
        found: results by caption, over the same classes.
        comparison: of the two results, if it was asked for.
        where: the data set.
    """

    if shown is Format.json:
        print_json(document)
        return
    if shown in _TEXTS:
        # What is pasted elsewhere stands alone on stdout.
        say(results, format_results(found, _TEXTS[shown]).rstrip("\n"))
        stream = console
    elif len(found) == 1:
        ((caption, result),) = found.items()
        say(results, f"{caption} on {where} ({counted(document['images'], 'image')})")
        results.print(single_table(result))
        stream = results
    else:
        results.print(summary_table(found, f"{where} ({counted(document['images'], 'image')}), in %"))
        for table in class_tables(found, results.width):
            results.print(table)
        stream = results
    for line in _remarks(found):
        say(stream, line)
    if comparison is not None:
        _print_comparison(comparison, list(found), table=shown is Format.table)


def _remarks(found: dict[str, EvaluationResult]) -> Iterator[str]:
    """What has to be known beside the table, once where it is the same for all."""

    first = next(iter(found.values()))
    if first.starred:
        yield "* not in mIoU*"
    protocols = {caption: protocol_lines(result.to_dict()["protocol"]) for caption, result in found.items()}
    same = len({tuple(lines) for lines in protocols.values()}) == 1
    for caption, result in found.items():
        mark = f"{caption}: " if len(found) > 1 else ""
        images = result.to_dict()["per_image"]
        worst = ", ".join(f"{entry['image']} ({percent(entry['miou'])})" for entry in images["worst"][:3])
        yield (
            f"{mark}mIoU per image: quartiles {percent(images['lower_quartile'])}, "
            f"{percent(images['median'])}, {percent(images['upper_quartile'])}, highest "
            f"{percent(images['maximum'])}; lowest {worst}"
        )
        if result.no_class_share:
            yield f"{mark}{percent(result.no_class_share)} % of the pixels are predicted as no class (misses)"
        if not same:
            yield from (mark + line for line in protocols[caption])
    if same:
        yield from next(iter(protocols.values()))


def _print_comparison(comparison: PairedComparison, names: list[str], table: bool) -> None:

    stream = results if table else console
    a, b = names
    if table:
        stream.print(paired_table(comparison, f"{b} minus {a}, points"))
    say(stream, comparison.verdict(a, b))
    say(
        stream,
        f"{b} has the higher mIoU in {100 * comparison.share_b_better:.1f} % of {comparison.resamples} "
        "resamples of the images. Other training seeds are not part of this interval.",
    )
