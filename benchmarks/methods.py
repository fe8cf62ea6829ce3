"""All methods' small presets against equal-step controls on three pairs of domains.

    python benchmarks/methods.py --camvid ROOT --pairs city_camvid,day_dusk,city_dusk --seeds 0,1

Every arm starts from the same source-only network and sees as many steps and source images as the control;
AdaBN and an oracle stand beside (rule 11 of the design). Methods and their settings are those of the presets,
but for the adversarial weight: over a few hundred steps the papers' 0.001 cannot be told from nothing, so all
adversaries get `--weight`. Finished runs are kept, so that arms and seeds can be added later.
"""

import argparse
from pathlib import Path
from typing import Any

from markdown_table import print_table

from segshift.config import merge, parse
from segshift.engine.comparison import Comparison, run_comparison
from segshift.engine.presets import load_recipe
from segshift.terminal import Terminal, TerminalProgress

PRESETS = (
    "adaptsegnet_single",
    "advent",
    "local_alignment",
    "clan",
    "fada",
    "adaptpatch",
    "lsd",
    "mean_teacher",
)
# Terms whose `weight` is that of an adversary.
ADVERSARIES = {"output_alignment", "advent", "local_alignment", "clan", "fada", "feature_alignment", "patch"}


def pair(name: str, camvid: str) -> dict[str, Any]:
    """The part of the recipe that a pair of domains determines."""
    city = "city:game,size=240x180,count=1000,val=20"
    pairs: dict[str, dict[str, Any]] = {
        "city_camvid": {
            "classes": "camvid11",
            "source": {"dataset": city},
            "target": {"dataset": f"camvid:{camvid}", "split": "train"},
            "evaluation": {"split": "test"},
        },
        "day_dusk": {
            "source": {"dataset": f"camvid:{camvid}", "split": "day_train"},
            "target": {"dataset": f"camvid:{camvid}", "split": "dusk_train"},
            "evaluation": {"split": "dusk_test"},
        },
        "city_dusk": {
            "source": {"dataset": city},
            "target": {"dataset": "city:dusk,size=240x180,count=1000,val=100"},
            "evaluation": {"split": "val"},
        },
    }
    return pairs[name]


def sized(term: dict[str, Any]) -> dict[str, Any]:
    """A term of a preset for 480x360 and 2000 steps, for half the size and a start that is warm already."""
    changes: dict[str, Any] = {}
    if isinstance(term.get("patch_px"), int):
        changes["patch_px"] = term["patch_px"] // 2
    elif "patch_px" in term:
        changes["patch_px"] = [20, 20]
    if "start_step" in term:
        changes["start_step"] = 0
    if "self_training_start_step" in term:
        changes["self_training_start_step"] = 50
    return {**term, **changes}


def self_training(crop: dict[str, Any]) -> dict[str, Any]:
    """CBST in one round, on pseudo labels of the common start."""
    stages = [
        {
            "name": "pseudo_labels",
            "kind": "pseudo_label",
            "settings": {"rule": "class_balanced", "portion": 0.5},
        },
        {
            "name": "retrain",
            "changes": {"pseudo_labelled": {"dataset": "{pseudo_labels}/dataset.yaml", "augmentation": crop}},
        },
    ]
    return {"label": "cbst, one round", "changes": {"stages": stages}}


def arm(preset: str, weight: float) -> dict[str, Any]:
    """A preset as an arm: its method, its heads and its adversary's optimizer."""
    recipe = load_recipe(preset)
    if recipe.stages:
        raise SystemExit(f"{preset}: has stages of lengths of its own; the table's arms have equal steps")
    method = dict(recipe.method)
    if "terms" in method:
        method["terms"] = [
            {**term, "weight": weight} if term["term"] in ADVERSARIES else term for term in method["terms"]
        ]
        method["terms"] = [sized(term) for term in method["terms"]]
    heads = {"auxiliary_head": recipe.model.auxiliary_head, "classifiers": recipe.model.classifiers}
    adversary = recipe.optimizers["adversary"].model_dump(mode="json")
    changes = {"method": method, "model": heads, "optimizers": {"adversary": adversary}}
    return {"label": preset, "changes": changes}


def comparison(name: str, settings: argparse.Namespace) -> Comparison:
    """The comparison of one pair."""
    crop = {"resize": [240, 180], "crop": [128, 96]}
    shared = {
        "source": {"augmentation": crop},
        "target": {"augmentation": crop},
        "evaluation": {"batch_size": 4},
        "model": {"weights": "package"},
        "training": {
            "steps": settings.steps,
            "batch_size": 4,
            "checkpoint_every": 200,
            "evaluate_every": settings.evaluate_every,
            "keep_checkpoints": 1,
            "log_every": 20,
            "workers": 0,
            "threads": settings.threads,
        },
    }
    recipe = load_recipe("source_only").model_dump(mode="json", exclude={"provenance"})
    recipe = merge(recipe, merge(shared, pair(name, settings.camvid)))
    arms: dict[str, Any] = {
        "control": {"label": "source only (control)"},
        "adabn": {
            "label": "AdaBN, after the control",
            "after": "control",
            "changes": {"method": {"name": "adabn"}, "training": {"steps": 0}},
        },
    }
    arms |= {preset: arm(preset, settings.weight) for preset in settings.arms}
    # Is it CLAN's adversary, or that two new classifiers are summed?
    arms["two_classifiers"] = {
        "label": "control with CLAN's two classifiers",
        "changes": {"model": {"classifiers": 2}},
    }
    arms["cbst"] = self_training(crop)
    arms["oracle"] = {"label": "oracle", "changes": {"oracle": True}}
    start = {"training": {"steps": settings.start_steps}, "optimizers": {"segmenter": {"lr": 1.0e-3}}}
    data = {"name": name, "recipe": recipe, "start": start, "arms": arms, "seeds": settings.seeds}
    return parse(Comparison, data, name)


def main() -> None:
    """Run the pairs and print their tables."""
    parser = argparse.ArgumentParser(description="All methods against equal-step controls.")
    parser.add_argument("--camvid", default="", help="folder of CamVid (for city_camvid and day_dusk)")
    parser.add_argument("--pairs", default="city_camvid,day_dusk,city_dusk")
    parser.add_argument("--arms", default=",".join(PRESETS), help="small presets")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--start-steps", type=int, default=500)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--weight", type=float, default=0.03, help="of every adversary")
    parser.add_argument(
        "--evaluate-every", type=int, default=0, help="steps; mIoU and label-free scores on the way"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/methods"))
    parser.add_argument("--print-only", action="store_true", help="tables of what has finished")
    settings = parser.parse_args()
    settings.seeds = [int(seed) for seed in settings.seeds.split(",")]
    settings.arms = settings.arms.split(",")
    for name in settings.pairs.split(","):
        made = comparison(name, settings)
        folder = settings.out / name
        if not settings.print_only:
            run_comparison(made, folder, TerminalProgress(Terminal(stderr=True)), resume=True)
        print(f"\n### {name}, {settings.start_steps} + {settings.steps} steps\n")
        print_table(folder, made)


if __name__ == "__main__":
    main()
