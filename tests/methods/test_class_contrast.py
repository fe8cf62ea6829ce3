"""Class contrast as a term: its statistics, its cells, and a step written by hand."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.engine.step import train_step
from segshift.methods import Method
from segshift.methods.class_contrast import ClassContrast
from tests.engine.toy import split_batch
from tests.methods.networks import align, batch, largest_difference, optimizers, parameters_of, tiny_segmenter

TERM = {"term": "class_contrast", "channels": 6, "min_share": 0.4, "temperature": 0.5, "weight": 0.3}
TEACHER = {"term": "mean_teacher", "class_mix": False, "color_jitter": 0, "blur": 0, "confidence": 0.4}


def term_of(method: Method) -> ClassContrast:
    (term,) = (one for one in method.terms if isinstance(one, ClassContrast))
    return term


def cells_by_hand(labels: Tensor) -> Tensor:
    """The class of at least 40 % of each 8 x 8 cell."""
    count, height, width = labels.shape[0], labels.shape[1] // 8, labels.shape[2] // 8
    cells = torch.full((count, height, width), 255)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                cell = labels[n, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
                shares = [(cell == c).float().mean().item() for c in range(3)]
                if max(shares) >= 0.4:
                    cells[n, y, x] = int(np.argmax(shares))
    return cells


def by_class(features: Tensor, cells: Tensor) -> list[Tensor]:
    """The (K, A) features of each class."""
    flat = features.detach().permute(0, 2, 3, 1)
    return [flat[cells == c] for c in range(3)]


def contrast_by_hand(features: Tensor, cells: Tensor, groups: list[Tensor]) -> Tensor:
    means = [g.mean(0) if len(g) else torch.zeros(6) for g in groups]
    variances = [g.var(0, correction=0) if len(g) else torch.zeros(6) for g in groups]
    losses = []
    for n, y, x in (cells != 255).nonzero().tolist():
        q, label = features[n, :, y, x], int(cells[n, y, x])
        spreads = torch.stack([(q * q * v).sum() / (2 * 0.5**2) for v in variances])
        scores = torch.stack([(q * m).sum() / 0.5 for m in means]) + spreads
        losses.append(scores.logsumexp(0) - scores[label] + spreads[label])
    return torch.stack(losses).mean()


def upsampled_loss(logits: Tensor, labels: Tensor) -> Tensor:
    logits = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=True)
    return F.cross_entropy(logits, labels, ignore_index=255, reduction="none")


def coarse(data: Any) -> Any:
    """Labels in blocks, so that cells have a class; some are shared by two and have none."""
    generator = torch.Generator().manual_seed(7)
    blocks = torch.randint(0, 3, (2, 5, 6), generator=generator)
    labels = blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, 4:36, 3:43].clone()
    labels[0, :8] = 255
    object.__setattr__(data, "source_labels", labels)
    return data


@pytest.mark.parametrize("with_teacher", [False, True])
def test_a_step_equals_one_written_by_hand(with_teacher: bool) -> None:
    method = align(*([TEACHER] if with_teacher else []), TERM)
    network, term = copy.deepcopy(method.segmenter), copy.deepcopy(term_of(method))
    data = coarse(batch(4))
    mover = torch.optim.SGD(
        [*network.parameters(), *term.projection.parameters()], lr=0.02, momentum=0.9, weight_decay=5e-4
    )
    output = network(network.normalize(data.source_images))
    losses = upsampled_loss(output.logits, data.source_labels)
    loss = losses.sum() / (data.source_labels != 255).sum()
    projected = F.normalize(term.projection(output.features), dim=1)
    cells = cells_by_hand(data.source_labels)
    groups = by_class(projected, cells)
    assert 10 < (cells != 255).sum() < cells.numel() and all(len(group) for group in groups)
    expected = {"source": contrast_by_hand(projected, cells, groups)}
    if with_teacher:
        teacher = method.terms[0].teacher
        with torch.no_grad():
            scores = teacher(teacher.normalize(data.target_images)).logits
            scores = F.interpolate(scores, (40, 32), mode="bilinear", align_corners=True).softmax(1)
            confidence, labels = scores.max(1)
        share = (confidence > 0.4).float().mean(dim=(1, 2), keepdim=True)
        seen = network(network.normalize(data.target_images))
        target = F.normalize(term.projection(seen.features), dim=1)
        target_cells = cells_by_hand(labels)
        # A target without any confident pixel has no labels.
        assert (share > 0).tolist() == [[[False]], [[True]]]
        target_cells[0] = 255
        assert (target_cells != 255).any()
        expected["target"] = contrast_by_hand(target, target_cells, groups)
        again = network(network.normalize(data.target_images))
        loss = loss + (upsampled_loss(again.logits, labels) * share).mean()
    (loss + 0.3 * sum(expected.values())).backward()
    mover.step()
    log = train_step(method, [data], optimizers(method.networks())).values()
    for domain, value in expected.items():
        assert log[f"segmenter/class_contrast_{domain}"] == pytest.approx(0.3 * value.item(), rel=1e-4)
    assert ("segmenter/class_contrast_target" in log) == with_teacher
    assert largest_difference(parameters_of(method.segmenter), parameters_of(network)) < 2e-6
    mine = term_of(method)
    assert largest_difference(parameters_of(mine.projection), parameters_of(term.projection)) < 2e-6
    torch.testing.assert_close(mine.mean, torch.stack([g.mean(0) for g in groups]))


def test_the_distributions_are_those_of_all_cells_since_the_start() -> None:
    term = term_of(align(TERM))
    generator = torch.Generator().manual_seed(0)
    groups: list[list[Tensor]] = [[], [], []]
    for step in range(4):
        features = torch.randn(2, 6, 3, 4, generator=generator) + step
        labels = torch.randint(0, 2 if step < 2 else 3, (2, 3, 4), generator=generator)
        labels[0, 0] = 255
        term._update(features, labels)
        for c, group in enumerate(by_class(features, labels)):
            groups[c].append(group)
    for c in range(3):
        everything = torch.cat(groups[c])
        assert term.count[c].item() == len(everything)
        torch.testing.assert_close(term.mean[c], everything.mean(0), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(term.variance[c], everything.var(0, correction=0), rtol=1e-4, atol=1e-4)


def test_all_levels_side_by_side_and_what_counts_of_the_target() -> None:
    method = align(TEACHER, TERM | {"levels": "all"})
    term = term_of(method)
    assert term.projection[0].in_channels == 64 + 72 and term.projection[0].out_channels == 68
    data = coarse(batch(0))
    object.__setattr__(data, "target_valid", torch.zeros(2, 40, 32, dtype=torch.bool))
    log = train_step(method, [data], optimizers(method.networks())).values()
    assert log["segmenter/class_contrast_target"] == 0 < log["segmenter/class_contrast_source"]


def test_it_needs_no_target_without_a_teacher_and_sleeps_as_long_as_its_own() -> None:
    assert not align(TERM).uses_target
    method = align(TERM | {"start_step": 1}, TEACHER | {"start_step": 3})
    assert term_of(method).start_step == 3
    log = train_step(method, [batch(2)], optimizers(method.networks()))
    assert not any("class_contrast" in name for name in log.values())
    assert not term_of(method).count.any()


def test_resuming_from_the_state_needs_no_memory_and_micro_batches_run() -> None:
    def fresh() -> Method:
        return align(TEACHER, TERM, segmenter=tiny_segmenter(batch_norm="batch"))

    method, other = fresh(), fresh()
    movers = optimizers(method.networks())
    for step in range(2):
        train_step(method, split_batch(coarse(batch(step)), 2), movers)
    other.load_state_dict(method.state_dict())
    other_movers = optimizers(other.networks())
    other_movers["segmenter"].load_state_dict(copy.deepcopy(movers["segmenter"].state_dict()))
    for one, mover in ((method, movers), (other, other_movers)):
        train_step(one, [coarse(batch(2))], mover)
    for (name, mine), theirs in zip(method.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name
