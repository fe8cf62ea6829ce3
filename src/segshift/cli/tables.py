"""Tables for the terminal."""

from typing import Any

from rich.table import Table

from segshift.evaluation.table import percent


def with_spread(mean: float, std: float | None, signed: bool = False) -> str:
    """ "12.3 ± 0.4" in percent; without the spread for a single seed."""
    text = f"{100 * mean:+.1f}" if signed else percent(mean)
    return text if std is None else f"{text} ± {100 * std:.1f}"


def comparison_table(result: dict[str, Any]) -> Table:
    """The rows of `ComparisonResult.to_dict()`: mIoU, gain over the control, share of the gap, class IoU."""
    seeds = result["seeds"]
    table = Table(
        title=f"{result['name']} — {len(seeds)} seed{'s' if len(seeds) > 1 else ''}, IoU in %",
        caption="gain: over the control, which has the same start, steps and source images per step",
    )
    table.add_column("method", no_wrap=True)
    for heading in ("steps", "mIoU", "gain", "of gap"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in result["classes"]:
        table.add_column(name, justify="right", overflow="fold", min_width=4)
    best = best_arm(result)
    for row in result["rows"]:
        reference = row["arm"] in ("start", "control")
        style = "dim" if row["uses_target_labels"] else "bold green" if row["arm"] == best else None
        table.add_row(
            row["label"] + (" (uses target labels)" if row["uses_target_labels"] else ""),
            str(row["steps"]),
            with_spread(row["miou_mean"], row["miou_std"]),
            "" if reference else with_spread(row["gain_mean"], row["gain_std"], signed=True),
            "" if row["gap_share"] is None else f"{100 * row['gap_share']:.0f} %",
            *(percent(value) for value in row["class_iou"]),
            style=style,
        )
    return table


def best_arm(result: dict[str, Any]) -> str | None:
    """The arm with the highest mean gain that uses no target labels, if any."""
    arms = [
        row for row in result["rows"] if row["arm"] not in ("start", "control") and not row["uses_target_labels"]
    ]
    return max(arms, key=lambda row: row["gain_mean"])["arm"] if arms else None
