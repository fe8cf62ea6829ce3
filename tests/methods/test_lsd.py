"""LSD against a step written out by hand, the public code's losses, and its ablations."""

import copy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segshift.engine.step import train_step
from segshift.losses.segmentation import IGNORE
from segshift.methods import Batch, build_method
from segshift.methods.lsd import LSD, LSDConfig
from segshift.methods.term import Prediction
from segshift.models.reconstruction import Judgement
from segshift.models.segmenter import Segmenter
from tests.engine.recipes import toy_recipe
from tests.engine.runs import assert_same_bits, run, weights
from tests.engine.toy import split_batch
from tests.losses.reference import goldens
from tests.methods.networks import (
    SOURCE_SIZE,
    TARGET_SIZE,
    batch,
    largest_difference,
    optimizers,
    parameters_of,
    tiny_segmenter,
)

SMALL = {"name": "lsd", "generator_channels": 4, "discriminator_channels": 8, "discriminator_blocks": 1}


def lsd(segmenter: Segmenter | None = None, dropout: bool = False, **settings: Any) -> LSD:
    torch.manual_seed(1)
    method = build_method({**SMALL, **settings}, segmenter or tiny_segmenter())
    assert isinstance(method, LSD)
    for module in method.modules():
        if isinstance(module, nn.Dropout) and not dropout:
            module.p = 0.0
    return method.train()


def in_double(data: Batch) -> Batch:
    return replace(data, source_images=data.source_images.double(), target_images=data.target_images.double())


def small_labels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """The label at the middle of every cell."""
    rows = [int((row + 0.5) * labels.shape[1] / size[0]) for row in range(size[0])]
    columns = [int((column + 0.5) * labels.shape[2] / size[1]) for column in range(size[1])]
    return labels[:, rows][:, :, columns]


def play_by_hand(
    method: LSD,
    batches: list[Batch],
    weights_: dict[str, float],
    skips: bool,
    auxiliary_images: str = "real",
) -> None:
    """Three losses, three calls of autograd.grad, each on networks as they are by then."""
    segmenter, generator, discriminator = method.segmenter, method.generator, method.discriminator
    assert generator is not None
    groups = {
        "segmenter": [p for p in segmenter.parameters() if p.requires_grad],
        "generator": list(generator.parameters()),
        "discriminator": list(discriminator.parameters()),
    }
    movers = optimizers(groups)

    def move(name: str, loss: Tensor) -> None:
        gradients = torch.autograd.grad(loss, groups[name], allow_unused=True)
        for parameter, gradient in zip(groups[name], gradients, strict=True):
            parameter.grad = gradient
        movers[name].step()

    def paint(images: Tensor) -> tuple[Tensor, Any]:
        output = segmenter((images - segmenter.mean) / segmenter.std)
        pyramid = output.pyramid if skips else output.pyramid[-1:]
        return generator(pyramid, tuple(images.shape[-2:])), output

    def domain(judged: Any, number: int) -> Tensor:
        shape = (judged.domain.shape[0], *judged.domain.shape[2:])
        return F.cross_entropy(judged.domain, torch.full(shape, number))

    def classes(judged: Any, labels: Tensor) -> Tensor:
        size = (judged.labels.shape[-2], judged.labels.shape[-1])
        return F.cross_entropy(judged.labels, small_labels(labels, size), ignore_index=255)

    for data in batches:
        source, target, labels = data.source_images, data.target_images, data.source_labels
        fakes = paint(source)[0].detach(), paint(target)[0].detach()
        real = discriminator(source)
        loss = domain(real, 0) + domain(discriminator(fakes[0]), 1) + domain(discriminator(target), 2)
        loss = loss + domain(discriminator(fakes[1]), 3)
        if auxiliary_images != "generated":
            loss = loss + classes(real, labels)
        if auxiliary_images != "real":
            loss = loss + classes(discriminator(fakes[0]), labels)
        move("discriminator", loss)

        fake_source, fake_target = paint(source)[0], paint(target)[0]
        judged = discriminator(fake_source)
        game = domain(judged, 0) + domain(discriminator(fake_target), 2)
        loss = weights_["generator_domain_weight"] * game + weights_["generator_label_weight"] * classes(
            judged, labels
        )
        move("generator", loss + (fake_source - source).abs().mean() + (fake_target - target).abs().mean())

        (fake_source, output), (fake_target, _) = paint(source), paint(target)
        judged = discriminator(fake_source)
        logits = F.interpolate(output.logits, size=SOURCE_SIZE, mode="bilinear", align_corners=True)
        loss = F.cross_entropy(logits, labels, ignore_index=255)
        loss = loss + weights_["label_weight"] * classes(judged, labels)
        game = domain(judged, 2) + domain(discriminator(fake_target), 0)
        move("segmenter", loss + weights_["domain_weight"] * game)


@pytest.mark.parametrize(
    ("skips", "auxiliary_images"), [(False, "real"), (True, "real"), (False, "generated"), (True, "both")]
)
def test_a_step_equals_one_written_by_hand(skips: bool, auxiliary_images: str) -> None:
    # Weights far above the paper's, so that a loss that does nothing cannot pass.
    weights_: dict[str, Any] = {
        "label_weight": 3.0,
        "domain_weight": 5.0,
        "generator_domain_weight": 0.3,
        "generator_label_weight": 0.7,
    }
    # In float32 Adam makes whole steps of rounding errors of gradients near 0: 1e-3 on some processors.
    method = lsd(skips=skips, auxiliary_images=auxiliary_images, **weights_).double()
    by_hand = copy.deepcopy(method)
    batches = [in_double(batch(step)) for step in range(2)]
    movers = optimizers(method.networks())
    for data in batches:
        log = train_step(method, [data], movers)
        assert log.schedule == ["discriminator", "generator", "segmenter"]
    play_by_hand(by_hand, batches, weights_, skips, auxiliary_images)
    assert largest_difference(parameters_of(method), parameters_of(by_hand)) < 1e-9
    fresh = parameters_of(lsd(skips=skips, **weights_))
    moved = {
        name.split(".")[0]
        for name, value in parameters_of(method).items()
        if not torch.equal(value, fresh[name])
    }
    assert moved == {"segmenter", "generator", "discriminator"}


def test_every_parameter_is_trained() -> None:
    method = lsd(skips=True)
    before = parameters_of(method)
    train_step(method, [batch()], optimizers(method.networks()))
    trained = {id(p) for group in method.networks().values() for p in group}
    for name, parameter in method.named_parameters():
        if id(parameter) in trained:
            assert not torch.equal(parameter, before[name]), name


def test_only_cross_domain_losses_reach_the_segmenter() -> None:
    """Without a weight on them it trains as source-only does, whatever generator and discriminator do."""
    alone, other = lsd(label_weight=0.0, domain_weight=0.0), lsd(label_weight=0.0, domain_weight=0.0)
    other.generator = copy.deepcopy(lsd().generator)
    assert other.generator is not None
    with torch.no_grad():
        for parameter in [*other.generator.parameters(), *other.discriminator.parameters()]:
            parameter.mul_(3)
    for method in (alone, other):
        train_step(method, [batch()], optimizers(method.networks()))
    assert largest_difference(parameters_of(alone.segmenter), parameters_of(other.segmenter)) == 0


def test_two_micro_batches_are_one_batch() -> None:
    whole, parts = lsd(), lsd()
    train_step(whole, [batch(images=4)], optimizers(whole.networks()))
    train_step(parts, split_batch(batch(images=4), 2), optimizers(parts.networks()))
    assert largest_difference(parameters_of(whole), parameters_of(parts)) < 1e-5


def test_a_batch_without_labels_is_finite() -> None:
    data = batch()
    data.source_labels.fill_(IGNORE)
    method = lsd(dropout=True)
    log = train_step(method, [data], optimizers(method.networks()))
    assert all(torch.isfinite(loss) for loss in log.losses.values())
    assert log.losses["segmenter/supervised"] == 0 and log.losses["discriminator/labels"] == 0


@pytest.mark.parametrize(
    ("auxiliary_images", "expected"),
    [
        ("real", {"labels"}),
        ("generated", {"labels_of_generated"}),
        ("both", {"labels", "labels_of_generated"}),
    ],
)
def test_the_discriminator_learns_the_classes_of_real_or_generated_images(
    auxiliary_images: str, expected: set[str]
) -> None:
    _, names = losses_of(lsd(auxiliary_images=auxiliary_images))
    assert {name for name in names if name.startswith("discriminator/labels")} == {
        f"discriminator/{name}" for name in expected
    }
    _, names = losses_of(lsd(auxiliary_images=auxiliary_images, auxiliary_labels=False))
    assert not [name for name in names if "labels" in name]


def test_the_generator_weighs_its_game_as_the_public_code_unless_told() -> None:
    """With 1, as the paper adds it, means let it paint noise: see benchmarks/RESULTS.md."""
    assert LSDConfig().generator_domain_weight == 0.1
    games = []
    for settings in ({}, {"generator_domain_weight": 1.0}):
        method = lsd(**settings)
        log = train_step(method, [batch()], optimizers(method.networks()))
        games.append(log.losses["generator/source_real"])
    torch.testing.assert_close(10 * games[0], games[1])


def losses_of(method: LSD) -> tuple[list[str], set[str]]:
    log = train_step(method, [batch()], optimizers(method.networks()))
    return log.schedule, set(log.losses)


def test_without_auxiliary_labels() -> None:
    schedule, names = losses_of(lsd(auxiliary_labels=False))
    assert schedule == ["discriminator", "generator", "segmenter"]
    assert not [name for name in names if name.endswith("labels")]
    assert "segmenter/source_as_target" in names


def test_with_a_global_discriminator() -> None:
    method = lsd(discriminator="global")
    schedule, names = losses_of(method)
    assert schedule == ["discriminator", "generator", "segmenter"] and "segmenter/labels" in names
    assert method.discriminator(batch().source_images).domain.shape == (2, 4)


def test_in_feature_space() -> None:
    method = lsd(space="feature")
    assert list(method.networks()) == ["segmenter", "discriminator"]
    schedule, names = losses_of(method)
    assert schedule == ["discriminator", "segmenter"]
    assert names == {
        "discriminator/source",
        "discriminator/target",
        "segmenter/supervised",
        "segmenter/source_as_target",
        "segmenter/target_as_source",
    }
    assert method.pictures(batch()) == {}


def test_with_an_auxiliary_head() -> None:
    _, names = losses_of(lsd(tiny_segmenter(auxiliary_head=True)))
    assert "segmenter/supervised_auxiliary" in names


def test_with_a_network_of_other_strides() -> None:
    segmenter = tiny_segmenter(backbone="mobilenetv3_small_050", head="fcn8s", output_stride=32)
    method = lsd(segmenter, skips=True)
    data = batch()
    # fcn8s has stride 32, and the generator needs features of 2x2.
    images = torch.rand(2, 3, 64, 96)
    labels = torch.zeros(2, 64, 96, dtype=torch.int64)
    log = train_step(
        method,
        [Batch(images, labels, images.flip(-1), data.step, data.progress)],
        optimizers(method.networks()),
    )
    assert all(torch.isfinite(loss) for loss in log.losses.values())
    assert method.predict(images).shape == (2, 3, 64, 96)


def test_pictures_show_both_domains_and_their_reconstructions() -> None:
    method = lsd(dropout=True).eval()
    data = batch()
    before = method.state_dict()
    with torch.no_grad():
        shown = method.pictures(data)
    assert list(shown) == ["source", "source reconstructed", "target", "target reconstructed"]
    assert shown["source reconstructed"].shape == (2, 3, *SOURCE_SIZE)
    assert shown["target reconstructed"].shape == (2, 3, *TARGET_SIZE)
    assert all(images.min() >= 0 and images.max() <= 1 for images in shown.values())
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_the_segmenter_alone_is_deployed() -> None:
    method = lsd()
    assert method.deployed() is method.segmenter


class Oracle(nn.Module):
    """Answers for known images what the public code's networks answered."""

    def __init__(self, answers: list[tuple[Tensor, Judgement]]) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, images: Tensor) -> Judgement:
        return next(judged for known, judged in self.answers if torch.equal(known, images))


class Painter(nn.Module):
    """Paints the stored fakes: the source's has other features than the target's."""

    def __init__(self, fakes: dict[int, Tensor]) -> None:
        super().__init__()
        self.fakes = fakes

    def forward(self, pyramid: Any, size: tuple[int, int]) -> Tensor:
        return self.fakes[int(pyramid[-1].flatten()[0])]


class Echo(nn.Module):
    """A segmenter whose features say which image it saw, and whose logits are the stored scores."""

    class_names = tuple(f"class{index}" for index in range(19))

    def __init__(self, source: Tensor, logits: Tensor) -> None:
        super().__init__()
        self.source, self.logits = source, logits

    def normalize(self, images: Tensor) -> Tensor:
        return images

    def backbone(self, images: Tensor) -> list[Tensor]:
        return [torch.full((1, 1, 2, 2), float(not torch.equal(images, self.source)))]


def test_the_public_code_agrees(goldens_root: Path) -> None:
    """Every term and all three totals, with sums over pixels, at the weights of the public code."""
    scalars, arrays = goldens(goldens_root)
    method = lsd(generator_domain_weight=0.1, generator_label_weight=1.0, reduction="sum")
    real_source, real_target = arrays["lsd_real_src"], arrays["lsd_real_tgt"]
    fake_source, fake_target = arrays["lsd_gen_src"], arrays["lsd_gen_tgt"]
    method.discriminator = Oracle(
        [
            (real_source, Judgement(arrays["lsd_d_sr"], arrays["lsd_c_sr"])),
            (fake_source, Judgement(arrays["lsd_d_sf"], arrays["lsd_c_sf"])),
            (real_target, Judgement(arrays["lsd_d_tr"], None)),
            (fake_target, Judgement(arrays["lsd_d_tf"], None)),
        ]
    )
    small = arrays["lsd_label_small"].long()
    small[small < 0] = IGNORE
    labels = small.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    data = Batch(real_source, labels, real_target, 0, 0.0)
    source, target = (torch.zeros(1, 1, 1, 1),), (torch.ones(1, 1, 1, 1),)
    painter: Any = Painter({0: fake_source, 1: fake_target})

    def named(losses: dict[str, Tensor]) -> dict[str, float]:
        return {name: value.item() for name, value in losses.items()}

    found = named(method._discriminator_losses(data, fake_source, fake_target))
    for name, key in {
        "source_real": "D_src_real_s",
        "source_fake": "D_src_fake_s",
        "labels": "D_src_real_c",
        "target_real": "D_tgt_real",
        "target_fake": "D_tgt_fake",
    }.items():
        assert found[name] == pytest.approx(scalars[f"lsd_{key}"], rel=1e-6)
    assert sum(found.values()) == pytest.approx(scalars["lsd_lossD"], rel=1e-6)

    found = named(method._generator_losses(painter, data, source, target))
    for name, key, weight in (
        ("source_real", "G_src_adv_s", 0.1),
        ("target_real", "G_tgt_adv_s", 0.1),
        ("labels", "G_src_adv_c", 1.0),
        ("source_reconstruction", "G_src_l1", 1.0),
        ("target_reconstruction", "G_tgt_l1", 1.0),
    ):
        assert found[name] == pytest.approx(weight * scalars[f"lsd_{key}"], rel=1e-6)
    assert sum(found.values()) == pytest.approx(scalars["lsd_lossG"], rel=1e-6)

    echo: Any = Echo(real_source, arrays["lsd_score"])
    method.segmenter = echo
    full = arrays["lsd_label"].long()
    full[full < 0] = IGNORE
    seen: dict[str, float] = {}
    for truth, wanted in (
        (labels, {"source_as_target", "target_as_source", "labels"}),
        (full, {"supervised"}),
    ):
        losses = segmenter_losses(method, painter, Batch(real_source, truth, real_target, 0, 0.0), echo)
        seen |= {name: value for name, value in named(losses).items() if name in wanted}
    for name, key, weight in (
        ("supervised", "F_seg", 1.0),
        ("source_as_target", "F_src_adv_s", 0.1),
        ("target_as_source", "F_tgt_adv_s", 0.1),
        ("labels", "F_src_adv_c", 0.1),
    ):
        assert seen[name] == pytest.approx(weight * scalars[f"lsd_{key}"], rel=1e-6)
    assert sum(seen.values()) == pytest.approx(scalars["lsd_lossF"], rel=1e-6)


def segmenter_losses(method: LSD, painter: Any, data: Batch, echo: Echo) -> dict[str, Tensor]:
    """With predictions in place of the network's."""

    def predict(images: Tensor) -> Prediction:
        features = echo.backbone(images)[0]
        return Prediction(features, echo.logits, None, (echo.logits,), (features,))

    method.__dict__["_predict"] = predict
    return method._segmenter_losses(painter, data)


def test_a_resumed_run_ends_with_the_same_bits(toy_source: Path, toy_target: Path, tmp_path: Path) -> None:
    recipe = toy_recipe(
        toy_source,
        toy_target,
        method={**SMALL},
        training={"steps": 4, "pictures_every": 3},
        optimizers={"adversary": {"kind": "adam", "lr": 2e-3, "betas": [0.5, 0.999], "weight_decay": 0}},
    )
    run(recipe, tmp_path / "straight")
    assert (tmp_path / "straight" / "pictures" / "step_000003.png").is_file()
    shutil.copytree(tmp_path / "straight", tmp_path / "resumed")
    for name in ("results.json", "model.safetensors", "checkpoints/step_00000004.pt"):
        (tmp_path / "resumed" / name).unlink()
    run(recipe, tmp_path / "resumed", resume=True)
    assert_same_bits(weights(tmp_path / "straight"), weights(tmp_path / "resumed"))
    first, second = (
        torch.load(tmp_path / name / "checkpoints" / "step_00000004.pt", weights_only=True)["method"]
        for name in ("straight", "resumed")
    )
    assert_same_bits(first, second)
