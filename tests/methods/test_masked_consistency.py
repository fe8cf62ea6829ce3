"""Masked image consistency against its equations written out, alone and with another term's teacher."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import Batch, Method
from segshift.methods.averaged_teacher import AveragedTeacher
from segshift.methods.masked_consistency import MaskedConsistency
from segshift.methods.mean_teacher import MeanTeacher
from segshift.models.dropout import dropping_nothing
from segshift.models.token_mask import patch_embedding
from tests.engine.toy import split_batch
from tests.methods.networks import (
    TARGET_SIZE,
    align,
    assert_resumes,
    batch,
    largest_difference,
    optimizers,
    parameters_of,
    tiny_segmenter,
)

MASKED = {"term": "masked_consistency", "color_jitter": 0, "blur": 0, "confidence": 0.4, "block_px": 8}
MEAN_TEACHER = {"term": "mean_teacher", "confidence": 0.4, "ema_decay": 0.6}


def masked_of(method: Method) -> MaskedConsistency:
    found = [term for term in method.terms if isinstance(term, MaskedConsistency)]
    return found[0]


def disturbed(module: nn.Module) -> None:
    """Other parameters than the student's, or the teacher's answer would be the student's."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))


def logits_of(network: Any, images: Tensor) -> Tensor:
    return F.interpolate(network(images).logits, TARGET_SIZE, mode="bilinear", align_corners=True)


def written_out(data: Batch, teacher: Any, student: Any, seed: int, threshold: float) -> Tensor:
    """The loss by loops over blocks, images and pixels; no augmentation."""
    images = data.target_images
    confidence, labels = logits_of(teacher, teacher.normalize(images)).softmax(1).max(1)
    torch.manual_seed(seed)
    drawn = torch.rand(len(images), 1, TARGET_SIZE[0] // 8, TARGET_SIZE[1] // 8)
    masked = student.normalize(images).clone()
    for i, rows in enumerate(drawn[:, 0].tolist()):
        for y, row in enumerate(rows):
            for x, value in enumerate(row):
                if value <= 0.7:
                    masked[i, :, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = 0
    losses = F.cross_entropy(logits_of(student, masked), labels, reduction="none")
    total = torch.zeros(())
    for i in range(len(images)):
        total = total + (confidence[i] > threshold).float().mean() * losses[i].sum()
    return total / losses.numel()


def test_the_loss_is_the_papers_on_masked_images() -> None:
    method = align({**MASKED, "weight": 0.6})
    term = masked_of(method)
    disturbed(term.teacher)
    data = batch(5)
    threshold = logits_of(term.teacher, term.teacher.normalize(data.target_images)).softmax(1).amax(1)
    term.config = term.config.model_copy(update={"confidence": float(threshold.median())})
    teacher, student = copy.deepcopy(term.teacher), copy.deepcopy(method.segmenter)
    expected = 0.6 * written_out(data, teacher, student, 7, term.config.confidence)
    torch.manual_seed(7)
    log = train_step(method, [data], optimizers(method.networks()))
    assert log.values()["segmenter/masked_consistency_masked"] == pytest.approx(expected.item(), rel=1e-5)
    assert 0.02 < log.observations()["segmenter/masked_consistency_accepted_share"] < 0.98


def test_a_step_equals_one_written_by_hand() -> None:
    method = align(MASKED)
    data = batch(5, ignored=False)
    by_hand = copy.deepcopy(method.segmenter)
    mover = torch.optim.SGD(by_hand.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    teacher = copy.deepcopy(masked_of(method).teacher)
    size = data.source_images.shape[-2:]
    output = by_hand(by_hand.normalize(data.source_images)).logits
    upsampled = F.interpolate(output, size, mode="bilinear", align_corners=True)
    supervised = F.cross_entropy(upsampled, data.source_labels)
    (supervised + written_out(data, teacher, by_hand, 7, 0.4)).backward()
    mover.step()
    torch.manual_seed(7)
    train_step(method, [data], optimizers(method.networks()))
    assert largest_difference(parameters_of(method.segmenter), parameters_of(by_hand)) < 1e-6


@pytest.mark.parametrize("order", [("masked", "mixed"), ("mixed", "masked")])
def test_with_a_mean_teacher_there_is_one_teacher_asked_once(order: tuple[str, str]) -> None:
    configs = {"masked": MASKED, "mixed": MEAN_TEACHER}
    method = align(*(configs[name] for name in order))
    term = masked_of(method)
    (host,) = [one for one in method.terms if isinstance(one, MeanTeacher)]
    assert not hasattr(term, "teacher")
    passes: list[int] = []
    host.teacher.register_forward_hook(lambda *_: passes.append(1))
    log = train_step(method, [batch(0)], optimizers(method.networks()))
    assert len(passes) == 1
    names = {"segmenter/masked_consistency_masked", "segmenter/mean_teacher_mixed"}
    assert names < set(log.values())
    assert set(log.observations()) == {"segmenter/mean_teacher_accepted_share"}


def test_beside_a_mean_teacher_the_loss_is_that_of_its_labels() -> None:
    """And a copy of the method asks the copy's teacher, not the first one's."""
    first = align(MEAN_TEACHER | {"class_mix": False, "color_jitter": 0, "blur": 0}, MASKED)
    method = copy.deepcopy(first)
    disturbed(method.terms[0].teacher)
    data = batch(5)
    expected = written_out(data, method.terms[0].teacher, copy.deepcopy(method.segmenter), 7, 0.4)
    torch.manual_seed(7)
    log = train_step(method, [data], optimizers(method.networks()))
    assert log.values()["segmenter/masked_consistency_masked"] == pytest.approx(expected.item(), rel=1e-5)


def test_on_top_of_an_adversary_it_has_its_own_teacher() -> None:
    method = align({"term": "minent"}, MASKED)
    log = train_step(method, [batch(0)], optimizers(method.networks()))
    assert isinstance(masked_of(method).teacher, nn.Module)
    assert {"segmenter/minent_entropy", "segmenter/masked_consistency_masked"} <= set(log.values())


def test_two_masked_terms_share_the_first_ones_teacher() -> None:
    method = align(MASKED, MASKED | {"name": "finer", "block_px": 4})
    having = [hasattr(term, "teacher") for term in method.terms]
    assert having == [True, False]


def test_it_sleeps_while_its_teacher_does() -> None:
    method = align(MASKED, {**MEAN_TEACHER, "start_step": 3})
    assert masked_of(method).start_step == 3
    assert (
        "segmenter/masked_consistency_masked"
        not in train_step(method, [batch(2)], optimizers(method.networks())).values()
    )


def test_its_own_teacher_moves_once_in_a_step() -> None:
    method = align({**MASKED, "ema_decay": 0.6})
    movers = optimizers(method.networks())
    train_step(method, split_batch(batch(0, images=4), 2), movers)
    before = parameters_of(masked_of(method).teacher)
    train_step(method, split_batch(batch(1, images=4), 2), movers)
    student = parameters_of(method.segmenter)
    expected = {name: 0.5 * before[name] + 0.5 * student[name] for name in student}
    assert largest_difference(parameters_of(masked_of(method).teacher), expected) < 1e-6


def test_whole_blocks_are_masked_as_often_as_asked() -> None:
    term = masked_of(align({**MASKED, "block_px": 16, "masked_share": 0.25}))
    torch.manual_seed(0)
    kept = term._kept(torch.rand(400, 3, 64, 48))
    assert kept.shape == (400, 1, 64, 48)
    blocks = kept.view(400, 4, 16, 3, 16)
    assert torch.equal(blocks, blocks[:, :, :1, :, :1].expand_as(blocks))
    assert kept.mean().item() == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize(("size", "grid"), [((60, 100), (4, 6)), ((9, 7), (1, 1)), ((24, 41), (2, 3))])
def test_other_sizes_have_the_nearest_number_of_blocks(size: tuple[int, int], grid: tuple[int, int]) -> None:
    term = masked_of(align({**MASKED, "block_px": 16, "masked_share": 0.5}))
    torch.manual_seed(1)
    kept = term._kept(torch.rand(64, 3, *size))[:, 0].numpy()
    # Neighbors that never differ are of one block.
    rows = 1 + (np.diff(kept, axis=1) != 0).any(axis=(0, 2)).sum()
    columns = 1 + (np.diff(kept, axis=2) != 0).any(axis=(0, 1)).sum()
    assert (rows, columns) == grid


def test_pixels_outside_of_the_valid_ones_do_not_count() -> None:
    method = align(MASKED | {"confidence": 0.0, "masked_share": 0.0})
    data = batch(0)
    valid = torch.ones(2, *TARGET_SIZE, dtype=torch.bool)
    valid[:, 30:] = False
    object.__setattr__(data, "target_valid", valid)
    student = copy.deepcopy(method.segmenter)
    scores = logits_of(student, student.normalize(data.target_images))
    losses = F.cross_entropy(scores, scores.argmax(1), reduction="none")
    log = train_step(method, [data], optimizers(method.networks()))
    expected = (losses * valid).mean().item()
    assert log.values()["segmenter/masked_consistency_masked"] == pytest.approx(expected, rel=1e-5)


def test_a_share_per_batch_and_the_mean_with_the_mirror_image() -> None:
    term = masked_of(align(MASKED | {"share_of": "batch", "flip_average": True}))
    images = batch(4).target_images
    teacher = copy.deepcopy(term.teacher)
    probs = logits_of(teacher, teacher.normalize(images)).softmax(1)
    mirrored = logits_of(teacher, teacher.normalize(images.flip(-1))).softmax(1).flip(-1)
    confidence, labels = ((probs + mirrored) / 2).max(1)
    threshold = float(confidence.median())
    term.config = term.config.model_copy(update={"confidence": threshold})
    measured, weights = term._pseudo_label(images)
    assert torch.equal(measured, labels)
    assert weights.shape == labels.shape and weights.unique().numel() == 1
    expected = np.mean([(confidence[i] > threshold).float().mean().item() for i in range(len(images))])
    assert weights[0, 0, 0].item() == pytest.approx(expected)


def test_the_teachers_dropout_is_off() -> None:
    dropout = nn.Dropout(0.5).train()
    with dropping_nothing(dropout):
        assert torch.equal(dropout(torch.ones(50)), torch.ones(50))
    assert dropout.training


def test_resuming_from_the_state_needs_no_memory() -> None:
    assert_resumes({"term": "masked_consistency", "block_px": 8, "confidence": 0.4})


@pytest.mark.parametrize("deploy", ["student", "teacher"])
def test_what_is_deployed(deploy: str) -> None:
    alone = align(MASKED | {"deploy": deploy})
    hosted = align(MASKED | {"deploy": "teacher"}, MEAN_TEACHER | {"deploy": deploy})
    for method in (alone, hosted):
        having = [t for t in method.terms if isinstance(t, AveragedTeacher) and hasattr(t, "teacher")]
        assert method.deployed() is (having[0].teacher if deploy == "teacher" else method.segmenter)


def test_a_step_with_masked_tokens_equals_one_written_by_hand() -> None:
    """Two tokens of 16 px each way in 40x32 px, resized to 48x32: three rows of two."""
    torch.manual_seed(0)
    config = {"backbone": "test_vit", "weights": "none", "head": "linear"}
    segmenter = tiny_segmenter(**config)
    method = align({**MASKED, "mask": "tokens", "block_px": 14, "masked_share": 0.5}, segmenter=segmenter)
    term = masked_of(method)
    with torch.no_grad():
        term.mask_token.normal_(generator=torch.Generator().manual_seed(1))
    data = batch(5, ignored=False)
    term.config = term.config.model_copy(update={"confidence": 0.0})
    student, teacher, token = (
        copy.deepcopy(segmenter),
        copy.deepcopy(term.teacher),
        copy.deepcopy(term.mask_token),
    )
    mover = torch.optim.SGD([*student.parameters(), token], lr=0.02, momentum=0.9, weight_decay=5e-4)
    source = F.interpolate(
        student(student.normalize(data.source_images)).logits,
        data.source_images.shape[-2:],
        mode="bilinear",
        align_corners=True,
    )
    torch.manual_seed(7)
    stays = torch.rand(2, 1, 3, 2) > 0.5
    assert 2 < stays.sum() < 10

    def replaced(_: Any, __: Any, tokens: Tensor) -> Tensor:
        grid = tokens.reshape(2, 3, 2, 64)
        return torch.stack(
            [
                grid[n, y, x] if stays[n, 0, y, x] else token
                for n in range(2)
                for y in range(3)
                for x in range(2)
            ]
        ).reshape(tokens.shape)

    with torch.no_grad():
        labels = logits_of(teacher, teacher.normalize(data.target_images)).argmax(1)
    handle = patch_embedding(student.backbone).register_forward_hook(replaced)
    masked = F.cross_entropy(logits_of(student, student.normalize(data.target_images)), labels)
    handle.remove()
    (F.cross_entropy(source, data.source_labels) + masked).backward()
    mover.step()
    torch.manual_seed(7)
    log = train_step(method, [data], optimizers(method.networks()))
    assert log.values()["segmenter/masked_consistency_masked"] == pytest.approx(masked.item(), rel=1e-5)
    assert largest_difference(parameters_of(method.segmenter), parameters_of(student)) < 1e-6
    torch.testing.assert_close(term.mask_token, token)


def test_tokens_are_masked_in_blocks_of_whole_patches() -> None:
    term = masked_of(align({**MASKED, "block_px": 28, "masked_share": 0.25}))
    torch.manual_seed(0)
    blocks = term._kept(torch.rand(400, 3, 8, 6), 14).view(400, 4, 2, 3, 2)
    assert torch.equal(blocks, blocks[:, :, :1, :, :1].expand_as(blocks))
    assert blocks.mean().item() == pytest.approx(0.75, abs=0.02)
    assert term._kept(torch.rand(1, 3, 5, 5), 64).shape == (1, 1, 5, 5)  # larger patches than blocks


def test_a_network_without_tokens_is_refused_before_the_first_step() -> None:
    with pytest.raises(InputError, match="masked_consistency: mask: tokens: this backbone has no tokens"):
        align({**MASKED, "mask": "tokens"})
