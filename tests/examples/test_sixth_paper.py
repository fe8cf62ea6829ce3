"""The example of a paper outside the package: MCD against its three steps written by hand."""

import copy
import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.engine.health import read_records
from segshift.engine.presets import load_recipe
from segshift.engine.run import run_recipe
from segshift.engine.smoke import smoke_recipe
from segshift.engine.step import train_step
from segshift.methods import build_method
from segshift.models.segmenter import Segmenter
from segshift.progress import SILENT
from tests.methods.networks import batch, largest_difference, parameters_of, tiny_segmenter

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "examples" / "sixth_paper" / "mcd.yaml"


def heads(segmenter: Segmenter, images: Tensor) -> list[Tensor]:
    features = segmenter.backbone((images - segmenter.mean) / segmenter.std)[-1]
    assert segmenter.second_head is not None
    size = images.shape[-2:]
    return [
        F.interpolate(head(features), size=size, mode="bilinear", align_corners=True)
        for head in (segmenter.head, segmenter.second_head)
    ]


def test_a_step_is_the_papers_steps_a_b_and_c() -> None:
    segmenter = tiny_segmenter(classifiers=2)
    by_hand = copy.deepcopy(segmenter)
    method = build_method(load_recipe(RECIPE).method, segmenter).train()
    networks = method.networks()
    movers = {name: torch.optim.SGD(group, lr=0.02, momentum=0.9) for name, group in networks.items()}
    body = torch.optim.SGD(
        [p for p in by_hand.backbone.parameters() if p.requires_grad], lr=0.02, momentum=0.9
    )
    assert by_hand.second_head is not None
    both = [*by_hand.head.parameters(), *by_hand.second_head.parameters()]
    classifiers = torch.optim.SGD(both, lr=0.02, momentum=0.9)

    def supervised(labels: Tensor, images: Tensor) -> Tensor:
        first, second = heads(by_hand, images)
        return F.cross_entropy(first, labels, ignore_index=255) + F.cross_entropy(
            second, labels, ignore_index=255
        )

    def discrepancy(images: Tensor) -> Tensor:
        first, second = heads(by_hand, images)
        return (first.softmax(1) - second.softmax(1)).abs().mean()

    for step in range(2):
        data = batch(step)
        log = train_step(method, [data], movers)
        assert log.schedule == ["body+heads", "heads", "body", "body"]
        for turn in ("A", "B", "C", "C"):
            body.zero_grad()
            classifiers.zero_grad()
            if turn == "A":
                supervised(data.source_labels, data.source_images).backward()
                body.step()
                classifiers.step()
            elif turn == "B":
                loss = supervised(data.source_labels, data.source_images) - discrepancy(data.target_images)
                loss.backward()
                classifiers.step()
            else:
                discrepancy(data.target_images).backward()
                body.step()
    assert largest_difference(parameters_of(segmenter), parameters_of(by_hand)) < 1e-6


def test_the_recipe_runs(tmp_path: Path) -> None:
    recipe = smoke_recipe(load_recipe(RECIPE))
    results = run_recipe(recipe, tmp_path / "run", SILENT)
    assert results["steps"] == 2 and (tmp_path / "run" / "model.safetensors").is_file()
    logged = [record for record in read_records(tmp_path / "run" / "metrics.jsonl") if "losses" in record]
    assert [record["roles"] for record in logged] == [{"body": "learner", "heads": "learner"}]


def test_the_example_lives_outside_the_package() -> None:
    """Nothing inside knows of it; the doctor's help only names the recipe as an example."""
    mentions = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*")
        if path.suffix in {".py", ".yaml"} and re.search(r"\bmcd\b", path.read_text(encoding="utf-8"), re.I)
    ]
    assert mentions == ["src/segshift/cli/commands/doctor.py"]
