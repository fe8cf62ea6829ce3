"""The report page, read back: what it says, shows and holds, and that it needs nothing else."""

import base64
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segshift.data.labels import class_set
from segshift.errors import InputError
from segshift.evaluation import PairedComparison, format_results
from segshift.report.colors import MOST_RUNS, color_number
from segshift.report.content import Curve, Evidence, SeedRun, best_row
from segshift.report.figures import run_dash
from segshift.report.page import render, write_report
from segshift.report.tables import recipe_differences
from segshift.report.wording import points, verdict
from tests.report.make import NASTY, make_curves, make_report, make_result, make_run
from tests.report.reading import shown, usual

pytestmark = pytest.mark.usefixtures("small_plotly")
SECTIONS = [
    "summary", "results", "pictures", "gains", "confusion", "curves", "entropy", "distances", "retrieval",
    "embedding", "settings",
]  # fmt: skip


def test_all_sections_are_there_in_order_and_linked() -> None:
    _, found = usual()
    assert [values["id"] for tag, values in found.tags if tag == "section"] == SECTIONS
    assert [values["href"] for tag, values in found.tags if tag == "a"] == [f"#{name}" for name in SECTIONS]
    identities = [values["id"] for _, values in found.tags if "id" in values]
    assert len(identities) == len(set(identities))


def test_the_page_needs_nothing_else_and_names_its_pictures() -> None:
    _, found = usual()
    for tag, values in found.tags:
        assert tag not in ("link", "iframe", "object", "base")
        for name in ("src", "srcset", "data", "action"):
            assert not values.get(name), f"{tag} {name}"
    style = found.html[found.html.index("<style>") : found.html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    policy = next(values["content"] for _, values in found.tags if "http-equiv" in values)
    assert policy.startswith("default-src 'none'") and "http" not in policy


def test_plotly_is_inside_once_and_cannot_end_its_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, found = usual()
    sources = [text for values, text in found.scripts if values.get("id") == "plotly-source"]
    assert sources == [r"PLOTLY('\x3c/script>')"]
    monkeypatch.undo()
    write_report(tmp_path / "report.html", make_report(("one",), pictures=0, evidence=Evidence()))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(re.findall(r"\* plotly\.js v[\d.]+", text)) == 1


def test_more_runs_than_colors_are_told_apart_by_their_dashes(tmp_path: Path) -> None:
    write_report(tmp_path / "many.html", make_report(tuple("abcdefghijk"), labelled=False))
    text = (tmp_path / "many.html").read_text(encoding="utf-8")
    colors = {k: re.findall(rf"--run-{k}: (#\w+)", text)[0] for k in range(11)}
    assert colors[8] == colors[1] and colors[0] not in list(colors.values())[1:]
    looks = [(color_number(k), run_dash(k)) for k in range(MOST_RUNS)]
    assert len(set(looks)) == MOST_RUNS


def test_equal_reports_give_equal_bytes_and_failures_leave_no_file(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_report(tmp_path / name, make_report())
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    with pytest.raises(InputError, match="two runs are called same"):
        write_report(tmp_path / "c.html", make_report(("same", "same")))
    with pytest.raises(InputError, match="at most 57"):
        many = tuple(f"run {k}" for k in range(58))
        write_report(tmp_path / "c.html", make_report(many, labelled=False))
    with pytest.raises(InputError, match="no run"):
        write_report(tmp_path / "c.html", replace(make_report(), runs=()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_a_report_of_three_runs_and_200_images_stays_below_15_mb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    report = make_report(images=200, pictures=6, size=(960, 720))
    runs = tuple(replace(run, curves=make_curves(60_000, 1.0)) for run in report.runs)
    write_report(tmp_path / "report.html", replace(report, runs=runs))
    size = (tmp_path / "report.html").stat().st_size
    # The noise of these pictures is harder to pack than a street's.
    assert 5e6 < size < 15e6, f"{size / 1e6:.1f} MB"


# Summary


def gain(difference: float, low: float, high: float, images: int = 100) -> PairedComparison:
    return PairedComparison(
        difference, (low, high), 0.9, ("sky",), np.array([difference]), np.array([[low, high]]), images,
        resamples=200, level=0.95, seed=0,
    )  # fmt: skip


def test_the_verdict_counts_fair_runs_only() -> None:
    result = make_result(class_set("camvid11"), 0.6)
    runs = [
        make_run("control", 0, result=result),
        make_run("good", 1, result=result, gain=gain(0.03, 0.01, 0.05)),
        make_run("bad", 2, result=result, gain=gain(-0.03, -0.05, -0.01)),
        make_run("open", 3, result=result, gain=gain(0.01, -0.01, 0.02)),
        make_run("longer", 4, result=result, gain=gain(0.2, 0.1, 0.3), unfair=("9000 steps",)),
        make_run("oracle", 5, result=result, gain=gain(0.3, 0.2, 0.4), uses_target_labels=True),
    ]
    sentences = verdict(runs)
    assert sentences[0].startswith("good is better than control on images like these: 3.00 points")
    assert sentences[1] == (
        "Of the 3 runs that are compared fairly with control: 1 better, 1 worse, 1 not decided."
    )
    assert sentences[2].endswith("differs: longer (+20.0), oracle (+30.0).")
    assert verdict([runs[0], runs[4]]) == [
        "No run can be compared fairly with control; see what differs below."
    ]
    assert "no labels" in verdict([make_run("control", 0), make_run("good", 1)])[0]
    assert verdict(runs[:1]) == [f"control: {100 * result.miou:.2f} % mIoU on the target."]


def test_gains_are_no_losses_and_seeds_are_told() -> None:
    classes = class_set("camvid11")
    result = make_result(classes, 0.6)
    changes = np.array([0.09, 0.05, -0.02, *[0.0] * (classes.count - 3)])
    intervals = np.stack([changes - 0.01, changes + 0.01], 1)
    found = replace(gain(0.03, 0.01, 0.05), class_names=classes.names, class_difference=changes,
                    class_interval=intervals)  # fmt: skip
    runs = [make_run("control", 0, result=result), make_run("good", 1, result=result, gain=found)]
    text = " ".join(verdict(runs))
    first, second, third = classes.names[:3]
    assert f"Largest class gains of good: {first} +9.0, {second} +5.0." in text
    assert f"Largest class losses of good: {third} −2.0." in text
    assert "One seed: how much another training would differ is not known." in text
    up = replace(found, class_difference=np.abs(changes))
    assert "No class loses." in " ".join(verdict([runs[0], replace(runs[1], gain=up)]))
    seeds = tuple(
        SeedRun(seed, f"runs/{seed}", result, gain(0.03 + shift, 0.01, 0.05))
        for seed, shift in ((0, -0.04), (1, 0.04))
    )
    several = replace(runs[1], seeds=seeds, gain=replace(found, trainings=2), gap_share=0.5)
    text = " ".join(verdict([runs[0], several]))
    assert "Over 2 seeds the gain is +3.0 ± 5.7 points. That is less than the seeds' spread." in text
    assert "It closes 50 % of the gap to the oracle." in text
    page = shown(make_report(runs=(runs[0], several)))
    assert "means over the seeds 0, 1" in page.said("") and "Every seed" in page.said("results")


def test_the_best_row_is_a_gain_that_is_fair() -> None:
    result = make_result(class_set("camvid11"), 0.6)
    runs = [
        make_run("control", 0, result=result),
        make_run("worse", 1, result=result, gain=gain(-0.03, -0.05, -0.01)),
        make_run("better", 2, result=result, gain=gain(0.02, -0.01, 0.05)),
        make_run("longer", 3, result=result, gain=gain(0.2, 0.1, 0.3), unfair=("9000 steps",)),
        make_run("oracle", 4, result=result, gain=gain(0.3, 0.2, 0.4), uses_target_labels=True),
    ]
    best = best_row(runs)
    assert best is not None and best.name == "better"
    assert best_row([*runs[:2], *runs[3:]]) is None


def test_the_cards_say_gain_interval_and_every_warning() -> None:
    report = make_report(images=20)
    runs = (
        report.runs[0],
        replace(
            report.runs[1], unfair=("4000 instead of 2000 steps",), advice=("loss is NaN soon: lower lr",)
        ),
        replace(report.runs[2], uses_target_labels=True, notes=("scored at another size",)),
    )
    found = shown(replace(report, runs=runs))
    text = found.said("summary")
    first, second = report.runs[1].gain, report.runs[2].gain
    assert first is not None and second is not None
    low, high = (points(end, 2) for end in first.interval)
    assert f"{points(first.difference, 2)} points (95 % interval {low} to {high})" in text
    assert "not like for like" in text and "4000 instead of 2000 steps" in text
    steps, images = report.runs[0].steps, report.runs[0].source_images_per_step
    assert f"{steps:,}".replace(",", " ") + f" steps, {images} source image" in text
    assert "Health: loss is NaN soon: lower lr" in text and "scored at another size" in text
    assert "Uses labels of the target domain" in text and "Only 20 images" in text
    doubtful = [values for _, values in found.tags if "doubtful" in values.get("class", "").split()]
    assert len(doubtful) == 1
    # A gain that means nothing gets no verdict of its own.
    assert text.count("better") + text.count("not decided") == 1


@pytest.mark.parametrize(
    ("difference", "text"), [(0.0321, "+3.2"), (-0.0321, "−3.2"), (-0.0001, "0.0"), (math.nan, "n/a")]
)
def test_points_are_signed(difference: float, text: str) -> None:
    assert points(difference) == text


# Table


def test_the_table_has_means_gain_and_classes_and_marks_the_best() -> None:
    report, found = usual()
    rows = found.rows["results"]
    assert [" ".join(row[0].split()) for row in rows] == ["source only reference", "advent", "clan"]
    for run, row in zip(report.runs, rows, strict=True):
        assert run.result is not None
        expected = ["n/a" if math.isnan(value) else f"{100 * value:.1f}" for value in run.result.iou]
        assert row[3:] == expected and row[1] == f"{100 * run.result.miou:.1f}"
        assert row[2] == ("–" if run.gain is None else points(run.gain.difference))
    table = found.html[found.html.index("<tbody>") : found.html.index("</tbody>")]
    best = re.findall(r"<b>([\d.]+)</b>", table)
    columns = [[float(row[index]) for row in rows if row[index] != "n/a"] for index in (1, *range(3, 14))]
    assert len(best) == sum(
        column.count(max(column)) for column in columns if column and max(column) > min(column)
    )


def test_runs_with_target_labels_do_not_compete_and_unfair_gains_carry_a_mark() -> None:
    report = make_report()
    runs = (
        report.runs[0],
        replace(report.runs[1], unfair=("other start",)),
        replace(report.runs[2], uses_target_labels=True),
    )
    found = shown(replace(report, runs=runs))
    rows = re.findall(
        r"<tr.*?</tr>", found.html[found.html.index("<tbody>") : found.html.index("</tbody>")], re.S
    )
    assert "<b>" not in rows[2] and "<b>" in rows[1]
    assert "†" in rows[1] and "†" not in rows[2] and "† Not compared" in found.said("results")


def test_the_copies_are_those_of_the_evaluation() -> None:
    report, found = usual()
    results = {run.name: run.result for run in report.runs if run.result is not None}
    assert found.data("exports") == {
        style: format_results(results, style) for style in ("md", "latex", "csv")
    }


# Pictures


def decoded(uri: str) -> tuple[str, Image.Image]:
    head, _, body = uri.partition(",")
    return head, Image.open(io.BytesIO(base64.b64decode(body)))


def test_the_pictures_are_exact_maps_and_faithful_photographs() -> None:
    report, found = usual()
    data = found.data("picture-data")
    one = report.shown[0]
    layers = data["images"][0]["layers"]
    assert list(sorted(layers)) == sorted(
        ["image", "truth", *(f"{kind}-{index}" for kind in ("prediction", "entropy") for index in range(3))]
    )
    assert one.label is not None
    for key, label in (("truth", one.label), ("prediction-1", one.predicted["advent"])):
        head, picture = decoded(layers[key])
        assert head == "data:image/png;base64" and picture.mode == "P"
        assert np.array_equal(np.asarray(picture.convert("RGB")), report.classes.palette[label])
    head, photo = decoded(layers["image"])
    assert head == "data:image/jpeg;base64"
    assert np.abs(np.asarray(photo).astype(int) - one.image).mean() < 10
    assert data["images"][0]["means"]["entropy-2"] == pytest.approx(one.entropy["clan"].mean(), abs=1e-3)
    present = {
        int(train_id) for label in (one.label, *one.predicted.values()) for train_id in np.unique(label)
    }
    assert set(data["images"][0]["present"]) == present - {255}


def test_wide_pictures_are_scaled_down_and_maps_stay_maps() -> None:
    found = shown(make_report(("one",), pictures=1, size=(1920, 480)))
    for uri in found.data("picture-data")["images"][0]["layers"].values():
        assert decoded(uri)[1].size == (960, 240)


def test_the_slider_begins_with_the_reference_and_the_best_fair_run() -> None:
    report = make_report()
    unfair = (*report.runs[:2], replace(report.runs[2], unfair=("other start",)))
    for changed, right in ((report, "prediction-2"), (replace(report, runs=unfair), "prediction-1")):
        selected = [v["value"] for tag, v in shown(changed).tags if tag == "option" and "selected" in v]
        assert selected == ["prediction-0", right]


def test_maps_of_another_size_than_the_image_are_refused() -> None:
    report = make_report(pictures=1)
    wrong = replace(report.shown[0], predicted={"advent": np.zeros((3, 4), np.uint8)})
    with pytest.raises(InputError, match=r"\(3, 4\).*equal sizes"):
        render(replace(report, shown=(wrong,)))


# Settings


def test_the_recipes_differences_come_key_by_key() -> None:
    runs = [
        make_run(
            "a",
            0,
            recipe="name: a\ntraining: {steps: 10, crop: [1, 2]}\nterms: [{term: x}, {term: y}]\nseed: 0",
        ),
        make_run("b", 1, recipe="name: b\ntraining: {steps: 20, crop: [1, 2]}\nterms: [{term: x}]\nseed: 0"),
    ]
    found = {
        row["key"]: [(c["text"], c["differs"]) for c in row["cells"]] for row in recipe_differences(runs)
    }
    assert found == {
        "terms.1.term": [("y", False), ("–", True)],
        "training.steps": [("10", False), ("20", True)],
    }
    assert recipe_differences([runs[0], replace(runs[0], name="c")]) == []


def test_settings_show_recipe_provenance_data_environment_and_command() -> None:
    report, found = usual()
    text = found.said("settings")
    for expected in (
        "method.terms.0.weight", "Vu et al., ADVENT, CVPR 2019", "mIoU_gta5_cityscapes: 43.8",
        "packages.torch", "camvid:…, split train", report.command,
    ):  # fmt: skip
        assert expected in text
    # What is the same for all stands once.
    assert text.count("packages.torch") == 1
    assert all(" ".join(run.recipe.split()) in text for run in report.runs)


# Less than usual, and more


def test_what_was_left_out_is_said_where_it_would_stand() -> None:
    skipped = {
        "retrieval": "only one image of the source",
        "embedding of advent": "too few points",
        "centres": "no labels",
        "strips": "not asked for",
        "something else": "for a reason",
    }
    full = make_report()
    found = shown(
        replace(full, shown=(), evidence=Evidence(embedding=full.evidence.embedding, skipped=skipped))
    )
    assert "Left out: only one image" in found.said("retrieval")
    assert "Left out: too few points" in found.said("embedding") and "patches" in found.said("embedding")
    assert "Left out: no labels" in found.said("distances")
    assert "Left out: not asked for" in found.said("pictures")
    assert "Left out: it was not measured" in found.said("entropy")
    assert "Left out: something else. for a reason" in found.said("summary")


def test_without_target_labels_nothing_pretends_to_be_a_score() -> None:
    found = shown(make_report(labelled=False))
    assert "No scores" in found.said("")
    for section in ("results", "gains", "confusion"):
        assert "Left out" in found.said(section)
    assert "sorts" not in found.said("results")
    reason = "the target has no labels"
    evidence = Evidence(skipped={"gains": reason, "confusion": reason})
    twice = shown(make_report(labelled=False, pictures=0, evidence=evidence))
    assert twice.said("results").count(reason) == 1, "one reason is told once"
    assert "no score" in found.said("summary") and "Classes on the target are predictions" in found.said(
        "embedding"
    )


def test_a_report_of_one_run_speaks_of_no_other() -> None:
    found = shown(make_report(("only",), pictures=1))
    text = " ".join(found.said(section) for section in ("summary", "results", "curves", "settings"))
    assert "mIoU" in text and "percent" in text
    for word in ("reference", "gain over", "differs", "one curve of all runs"):
        assert word not in text, word


@pytest.mark.parametrize(("runs", "classes"), [(1, 2), (8, 30)])
def test_few_and_many_runs_and_classes(runs: int, classes: int) -> None:
    some = class_set([f"a class with a long name {index}" for index in range(classes)])
    names = tuple(f"runs/folder/with/a/long/path/{index}/{'x' * 60}" for index in range(runs))
    found = shown(make_report(names, classes=some, pictures=1, size=(96, 64)))
    assert len(found.rows["results"]) == runs and len(found.rows["results"][0]) == classes + 2 + (runs > 1)


def test_a_run_that_predicts_no_class_at_all_gets_a_column_for_it() -> None:
    report = make_report(("one",), pictures=0)
    result = report.runs[0].result
    assert result is not None
    wide = replace(result, confusion=np.pad(result.confusion, ((0, 0), (0, 1)), constant_values=7))
    found = shown(replace(report, runs=(replace(report.runs[0], result=wide),)))
    axis = found.figure("confusion-0")["linear"]["layout"]["xaxis"]
    assert axis["ticktext"][-1] == "none" and len(axis["ticktext"]) == 12


def test_infinite_distances_and_lost_losses_are_gaps_not_broken_json() -> None:
    report = make_report(pictures=0)
    distances = {"source only": np.full(11, np.inf)}
    curve = Curve("loss", "segmenter/supervised", (1, 2, 3), (1.0, math.nan, math.inf))
    run = replace(report.runs[0], curves=(curve,))
    found = shown(replace(report, runs=(run, *report.runs[1:]), evidence=Evidence(fada_distance=distances)))
    assert found.figure("fada")["bars"]["data"][0]["y"] == [None] * 11
    assert found.figure("curves-0-loss")["curves"]["data"][0]["y"] == [1.0, None, None]


def test_names_with_markup_are_text_everywhere() -> None:
    classes = class_set([NASTY, "sky", "road"])
    report = make_report(
        (NASTY, NASTY + "2"), classes=classes, pictures=1, size=(96, 64), title=NASTY, command=NASTY
    )
    runs = tuple(
        replace(
            run, folder=NASTY, method=NASTY, advice=(NASTY,), unfair=(NASTY,),
            recipe=f"{NASTY!r}: {NASTY!r}", provenance={NASTY: NASTY},
            environment={NASTY: {NASTY: NASTY}}, data={NASTY: NASTY},
        )
        for run in report.runs
    )  # fmt: skip
    shown_ = tuple(replace(one, name=NASTY) for one in report.shown)
    found = shown(replace(report, runs=runs, shown=shown_, source=NASTY, target=NASTY))
    assert not [values for tag, values in found.tags if tag == "img" and "onerror" in values]
    assert (
        " ".join(NASTY.split()) in found.said("") and found.data("picture-data")["images"][0]["name"] == NASTY
    )
    # The scripts end where they should: plotly's and the page's own are the last two.
    assert len(found.scripts) == found.html.count("</script>")
    # Plotly would take tags in texts for markup.
    for key in ("gains", "confusion-0", "fada"):
        assert not re.search(r"<(?!sub>|/sub>|extra>|/extra>)", json.dumps(found.figure(key)))


def test_shortened_names_of_classes_stay_apart() -> None:
    names = [f"{'the same long ending of a name ' * 2}{'a' * index}{'z' * 40}" for index in range(3)]
    found = shown(make_report(("one", "two"), classes=class_set(names), pictures=0))
    trace = found.figure("gains")["bars"]["data"][0]
    assert trace["x"] == [0, 1, 2]
