"""The advice on sick curves: silent on real healthy runs, outspoken on constructed sick ones.

health_curves.json holds up to 32 lines of the logs of real runs on the city and CamVid (small presets on
half-size images, 150 to 320 steps), rounded to four digits.
"""

import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from segshift.engine.health import Advice, advise, classes_at_zero, pseudo_label_advice, read_records, replay
from segshift.engine.loggers import MetricsFile
from segshift.engine.run import run_recipe
from segshift.errors import InputError
from segshift.terminal import TerminalProgress
from tests.engine.recipes import toy_recipe

CURVES = json.loads(Path(__file__).with_name("health_curves.json").read_text(encoding="utf-8"))


def healthy(name: str) -> list[dict[str, Any]]:
    curve = CURVES[name]
    records = [
        {"step": step, "losses": dict(zip(curve["losses"], values, strict=True))}
        for step, *values in curve["lines"]
    ]
    return with_roles(records, curve.get("roles"))


def constructed(values: Mapping[str, Iterable[float | None]], every: int = 20) -> list[dict[str, Any]]:
    lines = zip(*values.values(), strict=True)
    return [
        {"step": every * (index + 1), "losses": dict(zip(values, line, strict=True))}
        for index, line in enumerate(lines)
    ]


def wobbly(level: float, count: int = 12, share: float = 0.004) -> list[float]:
    return [level * (1 + share * math.sin(2.3 * index)) for index in range(count)]


def symptoms(records: list[dict[str, Any]]) -> list[str]:
    return [advice.symptom for _, advice in replay(records)]


@pytest.mark.parametrize("name", CURVES)
def test_nothing_is_said_about_real_healthy_curves(name: str) -> None:
    assert replay(healthy(name)) == []


def test_learners_that_quarrel_are_no_adversaries() -> None:
    """MCD's body would have won, as an adversary of its heads; its log says that it is a learner."""
    name = "MCD, the sixth paper, city to overcast at 64x48"
    misread = with_roles(healthy(name), {"body": "adversary", "heads": "learner"})
    assert symptoms(misread) == ["discriminator at zero: body"]


@pytest.mark.parametrize("level", [0.5 * math.log(2), math.log(2), math.log(4)])
def test_a_discriminator_at_chance(level: float) -> None:
    records = constructed({"segmenter/supervised": wobbly(0.5), "advent/source": wobbly(level),
                           "advent/target": wobbly(level)})  # fmt: skip
    assert symptoms(records) == ["discriminator at chance: advent"]
    (step, advice) = replay(records)[0]
    assert step == 160 and f"{level:.3f}" in advice.line and "\n" not in advice.line
    # One loss at chance is not enough: CLAN's weighted one lies elsewhere.
    other = constructed({"advent/source": wobbly(level), "advent/target": wobbly(0.9 * level)})
    assert symptoms(other) == []


def test_a_short_log_is_not_judged() -> None:
    chance = {"advent/source": wobbly(math.log(2)), "advent/target": wobbly(math.log(2))}
    assert symptoms(constructed(chance, every=1)) == []
    longer = {name: wobbly(math.log(2), 110) for name in chance}
    assert symptoms(constructed(longer, every=1)) == ["discriminator at chance: advent"]


def test_lsd_at_log_four() -> None:
    chance = math.log(4)
    names = ("discriminator/source_real", "discriminator/source_fake", "generator/source_real")
    records = constructed({name: wobbly(chance) for name in names} | {"discriminator/labels": wobbly(2.0)})
    assert symptoms(records) == ["discriminator at chance: discriminator", "generator at chance"]
    alive = constructed({"discriminator/source_real": wobbly(0.9), "generator/source_real": wobbly(1.6)})
    assert symptoms(alive) == []


def test_a_discriminator_that_has_won() -> None:
    won = {"fada/source": wobbly(0.002), "fada/target": wobbly(0.004)}
    assert symptoms(constructed(won)) == ["discriminator at zero: fada"]
    # One easy domain is no victory.
    assert symptoms(constructed({**won, "fada/target": wobbly(0.3)})) == []
    # A source network's own loss may be as small as it likes.
    assert symptoms(constructed({"segmenter/supervised": wobbly(0.002)})) == []


# The README's sixth paper, healthy: at its end both classifiers agree on the target, as they should.
AGREED = {
    "body+heads/first": wobbly(0.3),
    "body+heads/second": wobbly(0.3),
    "heads/first": wobbly(0.3),
    "heads/second": wobbly(0.3),
    "heads/discrepancy": wobbly(-0.004),
    "body/discrepancy": wobbly(0.003),
}


@pytest.mark.parametrize("roles", [None, {"body": "learner", "heads": "learner"}])
def test_learners_may_have_small_losses_whatever_they_are_called(roles: dict[str, str] | None) -> None:
    assert symptoms(with_roles(constructed(AGREED), roles)) == []


def test_roles_say_who_is_an_adversary_and_not_spellings() -> None:
    won = {"critic/one": wobbly(0.002), "critic/two": wobbly(0.004)}
    assert symptoms(with_roles(constructed(won), {"critic": "adversary"})) == [
        "discriminator at zero: critic"
    ]
    assert symptoms(with_roles(constructed(won), {"critic": "learner"})) == []
    chance = {"painter/source_real": wobbly(math.log(4))}
    assert symptoms(with_roles(constructed(chance), {"painter": "generator"})) == ["generator at chance"]
    together = {"one+other/source": wobbly(0.002), "one+other/target": wobbly(0.002)}
    roles = {"one": "adversary", "other": "adversary"}
    assert symptoms(with_roles(constructed(together), roles)) == ["discriminator at zero: one+other"]


def test_a_log_of_an_earlier_version_that_was_resumed_is_readable() -> None:
    won = constructed({"fada/source": wobbly(0.002), "fada/target": wobbly(0.004)})
    resumed = [*won[:6], *with_roles(won[6:], {"segmenter": "learner", "fada": "adversary"})]
    assert symptoms(resumed) == ["discriminator at zero: fada"]


def with_roles(records: list[dict[str, Any]], roles: dict[str, str] | None) -> list[dict[str, Any]]:
    return records if roles is None else [{**record, "roles": roles} for record in records]


def test_losses_that_explode() -> None:
    rising = [*wobbly(0.4, 9), 6.0, 20.0, 70.0]
    records = constructed({"segmenter/supervised": rising})
    assert symptoms(records) == ["exploding: segmenter/supervised"]
    assert "70" in advise(records)[0].seen and "clip_norm" in advise(records)[0].remedy
    # A single bad batch, and weighted losses that grow from almost nothing, are usual.
    assert symptoms(constructed({"segmenter/supervised": [*wobbly(0.4, 11), 9.0]})) == []
    assert symptoms(constructed({"segmenter/minent_entropy": [*wobbly(0.001, 9), 0.1, 0.2, 0.4]})) == []


def test_not_finite_is_said_once_and_alone() -> None:
    records = constructed({"segmenter/supervised": [*wobbly(0.4, 9), 60.0, None, None]})
    assert symptoms(records) == ["not finite"]
    stopped = [{"step": 3, "error": "step 3: sick", "losses": {"supervised": None}}]
    assert "supervised is not finite" in advise(stopped)[0].seen


def test_predictions_that_collapse() -> None:
    def scored(*shares: float) -> list[dict[str, Any]]:
        return [{"step": 50 * k, "unsupervised": {"largest_class_share": s}} for k, s in enumerate(shares)]

    assert symptoms(scored(0.4, 0.96, 0.99)) == ["collapse to one class"]
    # From scratch the first evaluation sees one class only; a network that recovers is healthy.
    assert symptoms(scored(0.98, 0.6, 0.4)) == []
    assert symptoms(scored(0.94, 0.94)) == []


def test_a_term_that_never_finds_a_pseudo_label() -> None:
    name = "segmenter/screened_self_training_self_training"
    assert symptoms(constructed({name: [0.0] * 12})) == ["no pseudo labels"]
    assert symptoms(constructed({name: [0.0] * 11 + [0.2]})) == ["no pseudo labels"]  # until then
    assert symptoms(constructed({name: [0.0, 0.1] * 6})) == []


def test_a_teacher_that_is_confident_of_no_pixel() -> None:
    def observed(*shares: float) -> list[dict[str, Any]]:
        name = "segmenter/mean_teacher_accepted_share"
        lines = constructed({"segmenter/mean_teacher_mixed": [0.5] * len(shares)})
        return [{**line, "observed": {name: share}} for line, share in zip(lines, shares, strict=True)]

    assert symptoms(observed(*[0.0] * 12)) == ["no pseudo labels"]
    assert symptoms(observed(*[0.0, 0.01] * 6)) == []
    # Runs that were begun before the share was logged have lines without it.
    assert symptoms([*observed(*[0.0] * 12)[:6], *constructed({"segmenter/x": [0.5] * 12})[6:]]) == []


@pytest.mark.parametrize(
    ("kept", "expected"),
    [((0.5, 0.5), []), ((0.0, None), ["no pseudo labels"]), ((0.5, 0.001), ["pseudo labels of one class"])],
)
def test_pseudo_labels_on_disk(kept: tuple[float | None, ...], expected: list[str]) -> None:
    rows = {
        name: {"predicted_pixels": 0 if share is None else 1000, "kept_share": share}
        for name, share in zip(("road", "car"), kept, strict=True)
    }
    assert [advice.symptom for advice in pseudo_label_advice({"classes": rows})] == expected


def test_a_stage_of_pseudo_labels_is_looked_at(
    tmp_path: Path, toy_source: Path, toy_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def label(recipe: Any, settings: Any, folder: Path, *_: Any) -> None:
        folder.mkdir()
        rows = {"sky": {"predicted_pixels": 10, "kept_share": 0.0}}
        (folder / "pseudo_labels.json").write_text(json.dumps({"classes": rows}))

    monkeypatch.setattr("segshift.engine.run.run_pseudo_label_stage", label)
    stages = [{"name": "labels", "kind": "pseudo_label"}]
    console = Console(record=True, quiet=False, file=io.StringIO())
    run_recipe(toy_recipe(toy_source, toy_target, stages=stages), tmp_path, TerminalProgress(console))
    assert "stage labels  advice: not one pixel was confident enough" in console.export_text()


def test_the_log_takes_every_advice_once_also_over_a_stop(tmp_path: Path) -> None:
    records = constructed(
        {"advent/source": wobbly(math.log(2), 20), "advent/target": wobbly(math.log(2), 20)}
    )
    said = []
    for part in (records[:10], records[10:]):
        log = MetricsFile(tmp_path / "metrics.jsonl", 200)
        for record in part:
            log.write(record["step"], losses=record["losses"])
            said += log.advise(record["step"])
        log.close()
    assert len(said) == 1 and "cannot tell the domains apart" in said[0]
    written = read_records(tmp_path / "metrics.jsonl")
    (advice,) = [record for record in written if "advice" in record]
    assert advice["step"] == 160 and Advice(**advice["advice"]).line == said[0]
    # What is read again says the same.
    assert [(step, one.symptom) for step, one in replay(written)] == [(160, advice["advice"]["symptom"])]


def test_a_stop_in_the_middle_of_a_window_changes_nothing(tmp_path: Path) -> None:
    records = constructed({"advent/source": wobbly(math.log(2)), "advent/target": wobbly(math.log(2))})
    for part in (records[:5], records[5:]):
        log = MetricsFile(tmp_path / "metrics.jsonl", 100)
        for record in part:
            log.write(record["step"], losses=record["losses"])
            log.advise(record["step"])
        log.close()
    assert [r["step"] for r in read_records(tmp_path / "metrics.jsonl") if "advice" in r] == [160]


def test_files_that_are_no_logs(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with pytest.raises(InputError, match="no such file"):
        read_records(path)
    path.write_text('{"step": 1}\n{"loss": 2}\n')
    with pytest.raises(InputError, match="line 2: has no `step`"):
        read_records(path)
    for part in (f'"losses": {{"a/b": {"9" * 400}}}', '"evaluation": {"miou": 1, "iou": [1]}'):
        path.write_text(f'{{"step": 1, {part}}}\n{{"step": 2}}\n')
        with pytest.raises(InputError, match="line 1: has no `step`, or a part of another type"):
            read_records(path)
    path.write_text('{"step": 1, "losses": {}}\n{"step": 2, "lo')
    assert read_records(path) == [{"step": 1, "losses": {}}]


def test_classes_that_are_never_right_are_named() -> None:
    evaluations = [{"iou": {"road": 0.9, "car": 0.2}}, {"iou": {"road": 0.9, "car": 0.0004, "sky": None}}]
    records = [{"step": step, "evaluation": one} for step, one in enumerate(evaluations)]
    assert classes_at_zero([*records, {"step": 3, "losses": {}}]) == (["car"], 2)
    assert classes_at_zero([{"step": 1, "losses": {}}]) == ([], 0)
