"""Run folders as a report reads them."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from segshift.engine.recipe import Recipe
from segshift.errors import InputError
from segshift.report.build import build_report
from segshift.report.evidence import ReportSettings
from segshift.report.runs import expand, log_curves, method_words
from tests.report.runs import made_up, read, train


def test_a_comparison_stands_for_its_arms_with_a_run_per_finished_seed(tmp_path: Path) -> None:
    for seed in ("seed_10", "seed_2"):
        for arm in ("start", "advent", "clan", "control"):
            made_up(tmp_path / "compared" / seed / arm)
    alone = made_up(tmp_path / "alone")
    here = tmp_path / "compared" / "seed_2"
    both = [here, tmp_path / "compared" / "seed_10"]
    assert expand([alone, tmp_path / "compared"]) == {
        "alone": (alone,),
        **{name: tuple(seed / name for seed in both) for name in ("control", "start", "advent", "clan")},
    }
    rows: list[dict[str, str]] = [{"arm": name} for name in ("start", "control", "clan", "gone", "advent")]
    rows[2] |= {"label": "CLAN", "selection": "entropy"}
    table = tmp_path / "compared" / "comparison.json"
    table.write_text(json.dumps({"rows": rows}))
    labels = ["control", "start", "CLAN, best by entropy", "advent"]
    assert list(expand([tmp_path / "compared"])) == labels
    # A seed that the comparison no longer has, and one that is still being trained, are left out.
    table.write_text(json.dumps({"rows": rows, "seeds": [10]}))
    assert expand([tmp_path / "compared"])["advent"] == (both[1] / "advent",)
    table.write_text(json.dumps({"rows": rows, "seeds": [2, 10]}))
    (both[1] / "clan" / "results.json").unlink()
    assert expand([tmp_path / "compared"])["advent"] == (here / "advent",)
    with pytest.raises(InputError, match=r"advent stands twice"):
        expand([tmp_path / "compared", here / "advent"])
    with pytest.raises(InputError, match=r"alone stands twice"):
        expand([alone, alone / ".." / "alone"])
    for broken in ("{}", '{"rows": 5}', '{"rows": [{}]}'):
        (tmp_path / "compared" / "comparison.json").write_text(broken)
        with pytest.raises(InputError, match=r"comparison\.json: names no arms in `rows`"):
            expand([tmp_path / "compared"])


def test_what_is_no_finished_run_is_said_in_one_line(tmp_path: Path) -> None:
    run = made_up(tmp_path / "runs" / "one")
    translator = made_up(tmp_path / "translator")
    (translator / "model.safetensors").rename(translator / "translator.safetensors")
    unfinished = made_up(tmp_path / "unfinished")
    (unfinished / "results.json").unlink()
    (tmp_path / "empty").mkdir()
    for path, message in (
        (run / "model.safetensors", "is a file; a report needs the run folder"),
        (tmp_path / "gone", "no such folder"),
        (tmp_path / "runs", f"no run folder; give one, for example {run}"),
        (tmp_path / "empty", "no run folder; give one$"),
        (translator, "trained a translator and no segmenter"),
        (unfinished, f"no results.json.*train {unfinished}/config.yaml --out {unfinished} --resume"),
    ):
        with pytest.raises(InputError, match=message):
            expand([path])
    broken = made_up(tmp_path / "broken")
    (broken / "results.json").write_text("[1")
    with pytest.raises(InputError, match=r"broken/results\.json: is no JSON document"):
        read(broken)


def test_the_command_for_an_unfinished_run_can_be_pasted(tmp_path: Path) -> None:
    unfinished = made_up(tmp_path / "my run")
    (unfinished / "results.json").unlink()
    with pytest.raises(InputError, match=rf"train '{unfinished}/config.yaml' --out '{unfinished}' --resume"):
        expand([unfinished])


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (b"\xff\xfe\n", r"metrics\.jsonl, line 1: is damaged; take this line out"),
        (b"[1]\n", r"metrics\.jsonl, line 1: has no `step`"),
        (b'{"step": 3, "losses": {"a": "x"}}\n', r"line 1: has no `step`, or a part of another"),
        (b'{"step": 3, "lr": [1]}\n', r"line 1: has no `step`, or a part of another"),
    ],
)
def test_a_broken_log_is_told_before_anything_is_measured(tmp_path: Path, log: bytes, message: str) -> None:
    folder = made_up(tmp_path / "run")
    (folder / "metrics.jsonl").write_bytes(log)
    # The model cannot be read either: the log comes first.
    with pytest.raises(InputError, match=message):
        build_report({"run": folder}, ReportSettings())
    (folder / "metrics.jsonl").write_text('{"step": 1, "losses": {"a": NaN}}\n{"step": 2, "lo')
    assert [one.name for one in read(folder).curves] == ["a"]


def test_curves_go_into_their_charts() -> None:
    records: list[dict[str, Any]] = [
        {
            "step": 10,
            "roles": {"advent": "adversary"},
            "losses": {"segmenter/supervised": 1.0, "advent/source": 0.7},
            "lr": {"advent": 1e-4},
        },
        {
            "step": 20,
            "losses": {"segmenter/supervised": None, "advent/source": 0.6},
            "observed": {"mean_teacher/accepted_share": 0.75},
            "lr": {"advent": 5e-5},
        },
        {"step": 20, "advice": {"symptom": "a", "seen": "b", "remedy": "c"}},
        {"step": 20, "evaluation": {"miou": 0.25}, "unsupervised": {"snd": 4.0, "entropy": 0.5}},
    ]
    found = {(one.group, one.name): (one.steps, one.values) for one in log_curves(records)}
    assert found == {
        ("loss", "segmenter/supervised"): ((10,), (1.0,)),
        ("discriminator", "advent/source"): ((10, 20), (0.7, 0.6)),
        ("learning_rate", "advent"): ((10, 20), (1e-4, 5e-5)),
        ("score", "snd"): ((20,), (4.0,)),
        ("observed", "mean_teacher/accepted_share"): ((20,), (0.75,)),
        ("score", "entropy"): ((20,), (0.5,)),
        ("score", "mIoU (target labels, for information)"): ((20,), (0.25,)),
    }
    assert log_curves(records[:1], "adapt: ")[0].name == "adapt: segmenter/supervised"


def test_a_run_of_stages_stands_for_its_last_model(
    tmp_path: Path, toy_source: Path, toy_target: Path
) -> None:
    stages = [
        {"name": "first", "changes": {"training": {"steps": 3}}},
        {"name": "second", "changes": {"method": {"terms": [{"term": "minent"}]}, "training": {"steps": 2}}},
    ]
    folder = train(tmp_path / "run", toy_source, toy_target, stages=stages)
    run = read(folder)
    assert run.final.training.steps == run.results["steps"] == 2
    assert run.final.init_from == str(folder / "1_first") and run.recipe.init_from is None
    assert run.method == "source only, then align: minent"
    names = {one.name for one in run.curves}
    assert {"first: segmenter/supervised", "second: segmenter/minent_entropy", "second: segmenter"} < names
    assert run.advice == () and run.environment["packages"]["torch"]
    assert run.data == {
        "source": "toy train (6 images)",
        "target": "toy train (6 images)",
        "evaluated on": "toy val (6 images)",
    }
    rows = {"sky": {"predicted_pixels": 99, "kept_share": 1.0}}
    (folder / "1_first" / "pseudo_labels.json").write_text(json.dumps({"classes": rows}))
    roles = {"advent": "adversary"}
    lines = [{"step": 20 * k, "roles": roles, "losses": {"advent/source": math.log(2)}} for k in range(1, 13)]
    (folder / "2_second" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    labels, pinned = read(folder).advice
    assert labels.startswith("first: 100 % of the pseudo labels are sky; use rule")
    assert pinned.startswith("second: from step 160 on: advent is pinned at log 2")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "source only"),
        ({"method": {"name": "align", "terms": [{"term": "clan"}, {"term": "adabn"}]}}, "align: clan, adabn"),
        ({"method": {"terms": [{"term": "advent"}, {"term": "advent"}]}}, "align: advent"),
        ({"method": {"name": "lsd"}}, "lsd"),
        ({"method": {"name": "/home/me/own.py:Own"}}, "own.py:Own"),
        ({"method": {"terms": [{"term": "own.py:A"}, {"term": "clan"}]}}, "align: own.py:A, clan"),
        ({"oracle": True}, "oracle"),
        ({"oracle": True, "method": {"name": "lsd"}}, "oracle, lsd"),
        ({"pseudo_labelled": {"dataset": "x"}}, "pseudo-labelled target"),
        (
            {"pseudo_labelled": {"dataset": "x"}, "method": {"terms": [{"term": "clan"}]}},
            "pseudo-labelled target, align: clan",
        ),
        ({"target_labelled": {"dataset": "x"}}, "labelled target"),
    ],
)
def test_methods_in_a_few_words(changes: dict[str, Any], words: str) -> None:
    assert method_words(Recipe(name="x", **changes)) == words
