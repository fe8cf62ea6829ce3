"""The mean teacher against recursions and loops written out."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.engine.step import train_step
from segshift.losses.segmentation import IGNORE
from segshift.methods import Method
from segshift.methods.mean_teacher import MeanTeacher, class_mix
from segshift.methods.term import Look
from tests.engine.toy import split_batch
from tests.methods.networks import align, assert_resumes, batch, largest_difference, optimizers, parameters_of

PLAIN = {"term": "mean_teacher", "class_mix": False, "color_jitter": 0, "blur": 0, "confidence": 0.4}


def teacher_of(method: Method) -> MeanTeacher:
    term = method.terms[0]
    assert isinstance(term, MeanTeacher)
    return term


def numbered_images(count: int, size: tuple[int, int], base: float) -> Tensor:
    """Images whose pixels say where they are: (row, column, image + base)."""
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return torch.stack(
        [torch.stack([rows, columns, torch.full(size, base + i)]).float() for i in range(count)]
    )


def mix(
    source: tuple[int, int], target: tuple[int, int], seed: int, sources: int = 2, targets: int = 3
) -> Any:
    """Class mix on numbered images, as NumPy arrays: source labels, target's own, and the three results."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 5, (sources, *source), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = IGNORE
    pseudo = torch.randint(10, 15, (targets, *target), generator=generator)
    weights = torch.full((targets, *target), 0.25)
    source_images, target_images = (
        numbered_images(sources, source, 100.0),
        numbered_images(targets, target, 200.0),
    )
    inputs = (source_images, labels, target_images, pseudo, weights)
    kept = [value.clone() for value in inputs]
    torch.manual_seed(seed)
    results = class_mix(*inputs)
    for value, before in zip(inputs, kept, strict=True):
        assert torch.equal(value, before)  # nothing is changed in place
    return [value.numpy() for value in (*inputs, *results)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("source", "target"),
    [((8, 10), (8, 10)), ((8, 10), (12, 7)), ((12, 7), (8, 10)), ((6, 6), (9, 9)), ((9, 9), (6, 6))],
)
def test_class_mix_equals_a_loop_over_pixels(
    source: tuple[int, int], target: tuple[int, int], seed: int
) -> None:
    source_images, truth, target_images, pseudo, _, images, labels, weights = mix(source, target, seed)
    window = (min(source[0], target[0]), min(source[1], target[1]))
    for i in range(len(target_images)):
        j = i % len(source_images)
        pasted = np.argwhere(images[i, 2] < 200)
        assert len(pasted)
        # The first pasted pixel tells where the window came from and went to; the rest must agree.
        first = images[i][:2, pasted[0][0], pasted[0][1]].astype(int)
        shift = first - pasted[0]
        chosen = set(labels[i][tuple(pasted.T)].tolist())
        # Some window of this size at this shift must explain every pixel of the image.
        explained = []
        for top in range(target[0] - window[0] + 1):
            for left in range(target[1] - window[1] + 1):
                from_top, from_left = top + shift[0], left + shift[1]
                inside = 0 <= from_top <= source[0] - window[0] and 0 <= from_left <= source[1] - window[1]
                if not inside:
                    continue
                part = truth[j][from_top : from_top + window[0], from_left : from_left + window[1]]
                present = set(part[part != IGNORE].tolist())
                if not chosen <= present or len(chosen) != -(-len(present) // 2):
                    continue
                image, label, weight = target_images[i].copy(), pseudo[i].copy(), np.full(target, 0.25)
                for y in range(window[0]):
                    for x in range(window[1]):
                        if part[y, x] in chosen:
                            image[:, top + y, left + x] = source_images[j][:, from_top + y, from_left + x]
                            label[top + y, left + x] = part[y, x]
                            weight[top + y, left + x] = 1.0
                explained.append(
                    np.array_equal(image, images[i])
                    and np.array_equal(label, labels[i])
                    and np.array_equal(weight, weights[i])
                )
        assert any(explained)


def test_ignored_pixels_are_never_pasted() -> None:
    for seed in range(20):
        *_, labels, _ = mix((8, 10), (8, 10), seed)
        assert IGNORE not in labels


def test_a_source_without_a_label_pastes_nothing() -> None:
    images = torch.rand(1, 3, 4, 4)
    ignored = torch.full((1, 4, 4), IGNORE)
    target, pseudo, weights = torch.rand(1, 3, 4, 4), torch.ones(1, 4, 4).long(), torch.full((1, 4, 4), 0.5)
    mixed = class_mix(images, ignored, target, pseudo, weights)
    for result, expected in zip(mixed, (target, pseudo, weights), strict=True):
        assert torch.equal(result, expected)


@pytest.mark.parametrize("present", range(1, 7))
def test_half_of_the_classes_rounded_up_all_equally_often(present: int) -> None:
    truth = torch.arange(present).repeat_interleave(6)[None, None]
    shape = truth.shape
    counts = np.zeros(present)
    torch.manual_seed(0)
    for _ in range(120):
        _, labels, _ = class_mix(
            torch.rand(1, 3, *shape[1:]),
            truth,
            torch.rand(1, 3, *shape[1:]),
            torch.full(shape, 99),
            torch.zeros(shape),
        )
        chosen = [int(c) for c in labels.unique() if c != 99]
        assert len(chosen) == -(-present // 2)
        counts[chosen] += 1
    expected = 120 * -(-present // 2) / present
    assert (abs(counts - expected) < 40).all()


def test_windows_come_from_and_go_to_every_place() -> None:
    source, target = numbered_images(1, (4, 8), 100.0), numbered_images(1, (7, 5), 200.0)
    truth, pseudo = torch.zeros(1, 4, 8).long(), torch.ones(1, 7, 5).long()
    came_from, went_to = set(), set()
    for seed in range(80):
        torch.manual_seed(seed)
        images, labels, _ = class_mix(source, truth, target, pseudo, torch.zeros(1, 7, 5))
        rows, columns = torch.nonzero(labels[0] == 0, as_tuple=True)
        assert len(rows) == 4 * 5
        came_from.add(tuple(images[0, :2, rows[0], columns[0]].int().tolist()))
        went_to.add((rows[0].item(), columns[0].item()))
    assert came_from == {(0, left) for left in range(4)}
    assert went_to == {(top, 0) for top in range(4)}


@pytest.mark.parametrize("start_step", [0, 2])
def test_the_teacher_is_the_recursion_of_the_students(start_step: int) -> None:
    method = align({**PLAIN, "ema_decay": 0.6, "start_step": start_step})
    term, movers = teacher_of(method), optimizers(method.networks())
    expected: dict[str, Tensor] = {}
    for step in range(start_step + 4):
        train_step(method, [batch(step)], movers)
        student = parameters_of(method.segmenter)
        age = step - start_step
        if age < 0:
            continue
        # Decays 0, 1/2, then 0.6: 1 - 1/3 is above it.
        decay = [0.0, 0.5, 0.6, 0.6][age]
        expected = {
            name: decay * expected[name] + (1 - decay) * value if age else value
            for name, value in student.items()
        }
        assert largest_difference(parameters_of(term.teacher), expected) < 1e-6
    assert largest_difference(parameters_of(term.teacher), parameters_of(method.segmenter)) > 1e-5


def test_the_teacher_wakes_up_as_the_student_of_that_moment() -> None:
    method = align({**PLAIN, "start_step": 1})
    term, movers = teacher_of(method), optimizers(method.networks())
    train_step(method, [batch(0)], movers)
    student = copy.deepcopy(method.segmenter)
    assert largest_difference(parameters_of(term.teacher), parameters_of(student)) > 1e-5
    labels: list[Tensor] = []
    original = term._pseudo_label

    def spy(images: Tensor) -> tuple[Tensor, Tensor]:
        result = original(images)
        labels.append(result[0])
        return result

    term._pseudo_label = spy  # type: ignore[method-assign]
    train_step(method, [batch(1)], movers)
    images = batch(1).target_images
    logits = student(student.normalize(images)).logits
    expected = F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=True).argmax(1)
    assert torch.equal(labels[0], expected)


def test_with_two_micro_batches_the_teacher_moves_once() -> None:
    method = align({**PLAIN, "ema_decay": 0.6})
    term, movers = teacher_of(method), optimizers(method.networks())
    train_step(method, split_batch(batch(0, images=4), 2), movers)
    before = parameters_of(term.teacher)
    train_step(method, split_batch(batch(1, images=4), 2), movers)
    student = parameters_of(method.segmenter)
    expected = {name: 0.5 * before[name] + 0.5 * student[name] for name in student}
    assert largest_difference(parameters_of(term.teacher), expected) < 1e-6
    assert largest_difference(before, student) > 1e-4


def test_the_teacher_is_not_trained() -> None:
    method = align({"term": "mean_teacher", "confidence": 0.0})
    teacher = teacher_of(method).teacher
    own = {id(parameter) for parameter in teacher.parameters()}
    listed = {id(parameter) for group in method.networks().values() for parameter in group}
    assert own and not own & listed
    movers = optimizers(method.networks())
    for step in range(2):
        train_step(method, [batch(step)], movers)
        assert not [p for p in teacher.parameters() if p.requires_grad or p.grad is not None]


def test_the_loss_is_the_pseudo_labels_cross_entropy_weighted_by_the_confident_share() -> None:
    """On plain target images, whose teacher is another network than the student."""
    method = align({**PLAIN, "weight": 0.7})
    term = teacher_of(method)
    with torch.no_grad():
        for parameter in term.teacher.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    data = batch(5)
    teacher, student = copy.deepcopy(term.teacher), copy.deepcopy(method.segmenter)

    def logits(network: Any) -> Tensor:
        size = data.target_images.shape[-2:]
        output = network(network.normalize(data.target_images)).logits
        return F.interpolate(output, size, mode="bilinear", align_corners=True)

    confidence, labels = logits(teacher).softmax(1).max(1)
    threshold = float(confidence.median())
    term.config = term.config.model_copy(update={"confidence": threshold})
    shares = [(confidence[i] > threshold).double().mean().item() for i in range(len(confidence))]
    assert all(0.02 < share < 0.98 for share in shares) and shares[0] != shares[1]
    losses = F.cross_entropy(logits(student), labels, reduction="none")
    expected = 0.7 * sum(share * losses[i].mean() for i, share in enumerate(shares)) / len(shares)
    log = train_step(method, [data], optimizers(method.networks()))
    measured = log.values()["segmenter/mean_teacher_mixed"]
    assert measured == pytest.approx(expected.item(), rel=1e-5)
    assert log.observations() == {"segmenter/mean_teacher_accepted_share": pytest.approx(sum(shares) / 2)}


def test_the_accepted_share_is_logged_and_moves_nothing() -> None:
    """Over micro-batches it is the mean; the losses and the steps are those of a term that is silent."""
    method = align(PLAIN)
    data = split_batch(batch(0, images=4), 2)
    with torch.no_grad():
        # At its start the teacher is the student.
        confidence = method.predict(data[0].target_images).softmax(1).amax(1)
    term = teacher_of(method)
    term.config = term.config.model_copy(update={"confidence": confidence.median().item()})
    silent = copy.deepcopy(method)
    shares = [teacher_of(method)._pseudo_label(part.target_images)[1].mean().item() for part in data]
    assert shares[0] != shares[1]
    log = train_step(method, data, optimizers(method.networks()))
    assert log.observations() == {"segmenter/mean_teacher_accepted_share": pytest.approx(sum(shares) / 2)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Look, "observe", lambda *_: None)
        plain = train_step(silent, data, optimizers(silent.networks()))
    assert plain.observations() == {} and plain.values() == log.values()
    assert largest_difference(parameters_of(silent), parameters_of(method)) == 0


def test_augmentation_moves_colors_and_keeps_shapes() -> None:
    term = teacher_of(align({"term": "mean_teacher", "color_jitter": 0.25, "blur": 1.0}))
    images = batch().target_images
    seen = set()
    for seed in range(12):
        torch.manual_seed(seed)
        changed = term._augment(images)
        assert changed.shape == images.shape and changed.min() >= 0 and changed.max() <= 1
        seen.add(torch.equal(changed, images))
    assert False in seen
    plain = teacher_of(align(PLAIN))
    assert torch.equal(plain._augment(images), images)


@pytest.mark.parametrize("deploy", ["student", "teacher"])
def test_what_is_deployed(deploy: str) -> None:
    method = align({**PLAIN, "deploy": deploy})
    expected = teacher_of(method).teacher if deploy == "teacher" else method.segmenter
    assert method.deployed() is expected


def test_resuming_from_the_state_needs_no_memory() -> None:
    assert_resumes({"term": "mean_teacher", "confidence": 0.4})
