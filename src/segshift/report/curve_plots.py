"""What the charts of training curves show: all curves of a run, or one curve of all runs."""

from collections.abc import Sequence
from dataclasses import replace

from segshift.analysis.loss_curves import MIOU, chance_levels, share_divisor
from segshift.report.colors import COLORS
from segshift.report.content import Curve, CurveGroup, Logged
from segshift.report.plots import Line, Lines

GROUPS: dict[CurveGroup, str] = {
    "loss": "losses",
    "discriminator": "discriminators",
    "score": "scores",
    "observed": "observed values",
    "learning_rate": "learning rates",
}


def curves_of_run(curves: Sequence[Curve], index: int) -> dict[CurveGroup, Lines]:
    """The groups of one run's curves, each a chart; `index` is the run's place."""
    charts = {}
    for group, title in GROUPS.items():
        own = [curve for curve in curves if curve.group == group]
        if own:
            lines = [_line(*_as_share(curve), place, of_run=False) for place, curve in enumerate(own)]
            charts[group] = Lines(
                f"curves-{index}-{group.replace('_', '-')}", title, "step", "", lines, _levels(own)
            )
    return charts


def curves_by_name(runs: Sequence[Logged]) -> list[tuple[str, list[Lines]]]:
    """For every group its heading and a chart per curve that two or more runs have."""
    found = []
    for group, title in GROUPS.items():
        names = dict.fromkeys(curve.name for run in runs for curve in run.curves if curve.group == group)
        charts = []
        for place, name in enumerate(names):
            own = [
                (index, run.name, curve)
                for index, run in enumerate(runs)
                for curve in run.curves
                if (curve.group, curve.name) == (group, name)
            ]
            curves = [curve for _, _, curve in own]
            if len(own) > 1 and has_lines(curves):
                lines = [_line(of, curve, index, of_run=True) for index, of, curve in own]
                key = f"curve-{group.replace('_', '-')}-{place}"
                charts.append(Lines(key, name, "step", "", lines, _levels(curves)))
        if charts:
            found.append((title, charts))
    return found


def has_lines(curves: Sequence[Curve]) -> bool:
    """Whether there is more to see than one evaluation, whose number the table has."""
    return any(len(curve.steps) > 1 for curve in curves)


def _line(name: str, curve: Curve, place: int, of_run: bool) -> Line:
    """A curve in its own color, or in the run's, whose place it is; those that come again are dashed."""
    if of_run:
        return Line(name, place, place, curve.steps, curve.values)
    # Gray is the reference run's.
    hue = None if curve.name == MIOU else 1 + place % (COLORS - 1)
    return Line(name.replace("_", " "), hue, place // (COLORS - 1), curve.steps, curve.values)


def _as_share(curve: Curve) -> tuple[str, Curve]:
    """A score that is no share as a share of its largest value, so that one axis serves all of a run's."""
    divisor = share_divisor(curve.values) if curve.group == "score" else 1.0
    if divisor == 1:
        return curve.name, curve
    values = tuple(value / divisor for value in curve.values)
    return f"{curve.name} / {divisor:.2f}", replace(curve, values=values)


def _levels(curves: Sequence[Curve]) -> list[tuple[float, str]]:
    """The losses of discriminators that cannot tell the domains apart."""
    if curves[0].group != "discriminator":
        return []
    return chance_levels({curve.name: curve.values[0] for curve in curves if curve.values})
