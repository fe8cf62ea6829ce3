"""Tables for the terminal."""

from typing import Any

from rich.console import Group
from rich.table import Table

from segshift.evaluation.table import percent


def with_spread(mean: float, std: float | None, signed: bool = False) -> str:
    """ "12.3 ± 0.4" in percent; without the spread for a single seed."""
    text = f"{100 * mean:+.1f}" if signed else percent(mean)
    return text if std is None else f"{text} ± {100 * std:.1f}"


def named(row: dict[str, Any]) -> str:
    """A row's label, with the score that chose its checkpoint unless that is the last one."""
    return str(row["label"]) + (f", best by {row['selection']}" if row.get("selection") else "")


def comparison_tables(result: dict[str, Any], best: str | None) -> Group:
    """`ComparisonResult.to_dict()` for people: the methods' scores, then the IoU of every class.

    Args:
        result: the comparison.
        best: name of the arm to emphasise.
    """
    return Group(_scores(result, best), _classes(result, best))


def _scores(result: dict[str, Any], best: str | None) -> Table:
    seeds = len(result["seeds"])
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    table = Table(
        title=f"{result['name']}: mIoU in %, {spread}",
        caption="gain: over the control, which has the same start, steps and images per step",
    )
    table.add_column("method")
    for heading in ("steps", "mIoU", "gain", "of the gap"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in result["rows"]:
        reference = row["arm"] in ("start", "control")
        table.add_row(
            named(row) + (" (uses target labels)" if row["uses_target_labels"] else ""),
            str(row["steps"]),
            with_spread(row["miou_mean"], row["miou_std"]),
            "" if reference else with_spread(row["gain_mean"], row["gain_std"], signed=True),
            "" if row["gap_share"] is None else f"{100 * row['gap_share']:.0f} %",
            style=_style(row, best),
        )
    return table


def _classes(result: dict[str, Any], best: str | None) -> Table:
    table = Table(title="IoU of every class in %")
    table.add_column("class", no_wrap=True)
    for row in result["rows"]:
        table.add_column(row["arm"].replace("_", " "), justify="right", style=_style(row, best))
    for index, name in enumerate(result["classes"]):
        table.add_row(name, *(percent(row["class_iou"][index]) for row in result["rows"]))
    return table


def _style(row: dict[str, Any], best: str | None) -> str | None:
    if row["uses_target_labels"]:
        return "dim"
    return "bold green" if row["arm"] == best else None
