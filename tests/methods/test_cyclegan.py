"""CycleGAN against a step written out by hand; CyCADA's semantic consistency; what a run leaves."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import Batch, LabelledImages, build_method, parse_method
from segshift.methods.cyclegan import CycleGAN
from segshift.models.segmenter import Segmenter
from segshift.models.translators import load_translator
from tests.engine.recipes import toy_recipe
from tests.engine.runs import assert_same_bits, run
from tests.engine.toy import split_batch
from tests.methods.networks import batch, largest_difference, optimizers, parameters_of, tiny_segmenter

SMALL = {
    "name": "cyclegan",
    "generator": {"base_channels": 2, "blocks": 1},
    "discriminator_channels": 2,
    "history": 0,
}


def cyclegan(segmenter: Segmenter | None = None, **settings: Any) -> CycleGAN:
    torch.manual_seed(1)
    method = build_method({**SMALL, **settings}, segmenter)
    assert isinstance(method, CycleGAN)
    return method.train()


def play_by_hand(method: CycleGAN, batches: list[Batch], identity: float, semantic: float) -> None:
    groups = method.networks()
    movers = optimizers(groups)
    to_target, to_source = method.to_target, method.to_source
    judge_target, judge_source = method.target_discriminator, method.source_discriminator
    f = method.semantics

    def move(name: str, loss: Tensor) -> None:
        for parameter, gradient in zip(groups[name], torch.autograd.grad(loss, groups[name]), strict=True):
            parameter.grad = gradient
        movers[name].step()

    def away(scores: Tensor, value: float) -> Tensor:
        return ((scores - value) ** 2).mean()

    def logits(x: Tensor) -> Tensor:
        assert f is not None
        scores = f(((x + 1) / 2 - f.mean) / f.std).logits
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=True)

    for data in batches:
        source, target = data.source_images * 2 - 1, data.target_images * 2 - 1
        as_target, as_source = to_target(source), to_source(target)
        loss = away(judge_target(as_target), 1) + away(judge_source(as_source), 1)
        loss = loss + 10 * (to_source(as_target) - source).abs().mean()
        loss = loss + 10 * (to_target(as_source) - target).abs().mean()
        loss = loss + identity * (to_target(target) - target).abs().mean()
        loss = loss + identity * (to_source(source) - source).abs().mean()
        if f is not None:
            loss = loss + semantic * F.cross_entropy(logits(as_target), logits(source).argmax(1))
            loss = loss + semantic * F.cross_entropy(logits(as_source), logits(target).argmax(1))
        move("generators", loss)
        as_target, as_source = as_target.detach(), as_source.detach()
        loss = (away(judge_target(target), 1) + away(judge_target(as_target), 0)) / 2
        loss = loss + (away(judge_source(source), 1) + away(judge_source(as_source), 0)) / 2
        move("discriminators", loss)


@pytest.mark.parametrize(("identity", "semantic"), [(5.0, 0.0), (0.0, 3.0)])
def test_a_step_equals_one_written_by_hand(identity: float, semantic: float) -> None:
    segmenter = tiny_segmenter() if semantic else None
    method = cyclegan(segmenter, identity_weight=identity, semantic_weight=semantic)
    by_hand, fresh = copy.deepcopy(method), parameters_of(method)
    batches = [batch(step) for step in range(2)]
    movers = optimizers(method.networks())
    for data in batches:
        assert train_step(method, [data], movers).schedule == ["generators", "discriminators"]
    play_by_hand(by_hand, batches, identity, semantic)
    found, expected = parameters_of(method), parameters_of(by_hand)
    assert largest_difference(found, expected) < 1e-5
    moved = {name.split(".")[0] for name in found if not torch.equal(found[name], fresh[name])}
    assert moved == {"to_target", "to_source", "target_discriminator", "source_discriminator"}


def test_the_semantic_judge_stays_as_it_is() -> None:
    """Neither its parameters nor its batch norm move, in the mode that would move most."""
    segmenter = tiny_segmenter(batch_norm="batch")
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    method = cyclegan(segmenter, semantic_weight=1.0)
    method.eval()
    method.train()
    log = train_step(method, [batch()], optimizers(method.networks()))
    assert log.losses["generators/source_semantics"] > 0 and log.losses["generators/target_semantics"] > 0
    assert all(torch.equal(value, before[name]) for name, value in segmenter.state_dict().items())
    assert not any(parameter.requires_grad for parameter in segmenter.parameters())


def test_a_judge_that_was_never_trained_is_refused(
    toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    recipe = toy_recipe(
        toy_source,
        toy_target,
        method={**SMALL, "semantic_weight": 1.0},
        training={"steps": 1},
        optimizers={"segmenter": {"lr_multipliers": {}}},
    )
    with pytest.raises(InputError, match=r"semantic_weight = 1\.0: needs a trained segmenter.*init_from"):
        run(recipe, tmp_path / "new")
    trained = toy_recipe(toy_source, toy_target, training={"steps": 1})
    run(trained, tmp_path / "trained")
    judged = recipe.model_copy(update={"init_from": str(tmp_path / "trained")})
    assert run(judged, tmp_path / "judged")["steps"] == 1


def test_only_semantic_consistency_needs_a_segmenter() -> None:
    assert not parse_method(SMALL).needs_segmenter
    assert parse_method({**SMALL, "semantic_weight": 0.5}).needs_segmenter
    with pytest.raises(ValueError, match="needs a segmenter"):
        build_method({**SMALL, "semantic_weight": 0.5}, None)
    assert cyclegan().deployed() is None


def test_two_micro_batches_are_one_batch() -> None:
    """Without a history, whose draws come in another order then."""
    whole, parts = cyclegan(), cyclegan()
    for method, data in ((whole, [batch(images=4)]), (parts, split_batch(batch(images=4), 2))):
        movers = {name: torch.optim.SGD(group, lr=0.01) for name, group in method.networks().items()}
        train_step(method, data, movers)
    assert largest_difference(parameters_of(whole), parameters_of(parts)) < 1e-5


def test_labelled_streams_are_refused() -> None:
    data = batch()
    stream = LabelledImages("pseudo_labelled", data.source_images, data.source_labels)
    data = Batch(data.source_images, data.source_labels, data.target_images, 0, 0.0, labelled=(stream,))
    method = cyclegan()
    with pytest.raises(InputError, match="pseudo_labelled: cyclegan translates images"):
        train_step(method, [data], optimizers(method.networks()))


def test_it_learns_to_swap_colors() -> None:
    """Reddish source, bluish target: the translator makes red images blue."""
    torch.manual_seed(0)
    method = cyclegan(generator={"base_channels": 4, "blocks": 1}, identity_weight=0.0, cycle_weight=1.0)
    movers = {
        name: torch.optim.Adam(parameters, lr=5e-3, betas=(0.5, 0.999))
        for name, parameters in method.networks().items()
    }
    red, blue = torch.tensor([0.8, 0.2, 0.2]).view(3, 1, 1), torch.tensor([0.2, 0.2, 0.8]).view(3, 1, 1)
    for step in range(40):
        noise = 0.2 * torch.rand(2, 3, 32, 32)
        data = Batch(red + noise[:1] - 0.1, torch.zeros(1, 32, 32).long(), blue + noise[1:] - 0.1, step, 0.0)
        train_step(method, [data], movers)
    shown = method.eval().pictures(data)
    translated = shown["source translated"].mean(dim=(0, 2, 3))
    assert translated[2] > translated[0] + 0.2, translated


def test_a_run_leaves_a_translator_and_resumes_bit_by_bit(
    toy_source: Path, toy_target: Path, tmp_path: Path
) -> None:
    recipe = toy_recipe(
        toy_source,
        toy_target,
        method={**SMALL, "history": 3},
        training={"steps": 6, "pictures_every": 3},
        optimizers={"adversary": {"kind": "adam", "lr": 2e-3, "weight_decay": 0}},
    )
    results = run(recipe, tmp_path / "straight")
    assert results["evaluation"] is None
    assert (tmp_path / "straight" / "pictures" / "step_000006.png").is_file()
    assert not (tmp_path / "straight" / "model.safetensors").exists()
    shutil.copytree(tmp_path / "straight", tmp_path / "resumed")
    for name in ("results.json", "translator.safetensors", "checkpoints/step_00000006.pt"):
        (tmp_path / "resumed" / name).unlink()
    run(recipe, tmp_path / "resumed", resume=True)
    states = [
        torch.load(tmp_path / name / "checkpoints" / "step_00000006.pt", weights_only=True)["method"]
        for name in ("straight", "resumed")
    ]
    assert states[0]["target_history.filled"] == 3
    assert_same_bits(*states)
    files = [load_file(tmp_path / name / "translator.safetensors") for name in ("straight", "resumed")]
    assert_same_bits(*files)
    loaded = load_translator(tmp_path / "straight")
    assert all(
        torch.equal(value, states[0][f"to_target.{name}"]) for name, value in loaded.state_dict().items()
    )
