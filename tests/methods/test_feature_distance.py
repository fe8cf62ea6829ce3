"""DAFormer's feature distance as a term: its cells, its reference, and a step written by hand."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.data.labels import class_set
from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import Method, build_method
from segshift.methods.feature_distance import FeatureDistance, thing_ids
from tests.methods.networks import (
    align,
    batch,
    largest_difference,
    optimizers,
    parameters_of,
    tiny_segmenter,
    without_source,
)

TERM = {"term": "feature_distance", "classes": ["box"], "min_share": 0.35, "weight": 0.05}


def term_of(method: Method) -> FeatureDistance:
    term = method.terms[0]
    assert isinstance(term, FeatureDistance)
    return term


def test_a_step_equals_one_written_by_hand() -> None:
    segmenter = tiny_segmenter()
    method = align(TERM, segmenter=segmenter)
    start = copy.deepcopy(segmenter.backbone).eval()
    with torch.no_grad():
        for parameter in segmenter.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    data, by_hand = batch(2), copy.deepcopy(segmenter)
    mover = torch.optim.SGD(by_hand.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    images = by_hand.normalize(data.source_images)
    output, reference = by_hand(images), start(images)[-1]
    size = data.source_images.shape[-2:]
    upsampled = F.interpolate(output.logits, size, mode="bilinear", align_corners=True)
    supervised = F.cross_entropy(upsampled, data.source_labels, ignore_index=255)
    distances = []
    for n in range(2):
        for y in range(4):
            for x in range(5):
                cell = data.source_labels[n, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
                if (cell == 2).float().mean() >= 0.35:
                    distances.append((output.features[n, :, y, x] - reference[n, :, y, x]).norm())
    assert 2 < len(distances) < 38
    expected = 0.05 * torch.stack(distances).mean()
    (supervised + expected).backward()
    mover.step()
    log = train_step(method, [data], optimizers(method.networks()))
    assert log.values()["segmenter/feature_distance_distance"] == pytest.approx(expected.item(), rel=1e-5)
    assert largest_difference(parameters_of(segmenter), parameters_of(by_hand)) < 1e-6


def test_cells_of_any_size_count_by_the_share_of_one_class() -> None:
    term = term_of(align({**TERM, "classes": [1, "box"], "min_share": 0.75}))
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[0, :4, :3] = 1  # 12 of 16
    labels[0, :4, 4:6] = 1  # half and half of two classes: neither has three quarters
    labels[0, :4, 6:] = 2
    labels[0, 4:, :4] = 255
    labels[0, 4:, 4:] = 2
    assert term._counted(labels, (2, 2)).tolist() == [[[True, False], [False, True]]]
    assert term._counted(labels[:, :7, :7], (2, 2)).shape == (1, 2, 2)


def test_the_reference_stays_and_survives_resuming() -> None:
    method = align(TERM, segmenter=tiny_segmenter(batch_norm="batch"))
    before = {name: value.clone() for name, value in term_of(method).start.state_dict().items()}
    movers = optimizers(method.networks())
    for step in range(2):
        train_step(method, [batch(step)], movers)
    own = {id(parameter) for parameter in term_of(method).start.parameters()}
    assert not own & {id(one) for group in method.networks().values() for one in group}
    # A run that goes on is built around whatever weights; the checkpoint has the first ones.
    torch.manual_seed(1)
    other = align(TERM, segmenter=tiny_segmenter(batch_norm="batch"))
    with torch.no_grad():
        next(iter(term_of(other).start.parameters())).zero_()
    other.load_state_dict(method.state_dict())
    for resumed in (method, other):
        after = term_of(resumed).start.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())


def test_things_by_default_are_those_of_the_paper() -> None:
    names = class_set("cityscapes19").names
    assert thing_ids(None, names) == [6, 7, *range(11, 19)]
    sixteen = class_set("cityscapes16").names
    assert [sixteen[one] for one in thing_ids(None, sixteen)] == [
        name for name in sixteen if names.index(name) in {6, 7, *range(11, 19)}
    ]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (None, "none is a thing as Cityscapes calls them; name some of sky, ground, box"),
        (["bix"], "'bix' is none of sky, ground, box.*did you mean `box`"),
        ([3], "3 is none of sky, ground, box"),
    ],
)
def test_classes_that_there_are_not_are_one_line(classes: list[str | int] | None, message: str) -> None:
    config = {"name": "align", "terms": [{"term": "feature_distance", "classes": classes}]}
    with pytest.raises(InputError, match=f"method.terms.0, feature_distance: classes: {message}") as error:
        build_method(config, tiny_segmenter())
    assert len(str(error.value).splitlines()) == 1


def test_without_things_in_a_crop_it_is_zero() -> None:
    method = align(TERM)
    data = batch(0)
    data.source_labels.fill_(0)
    log = train_step(method, [data], optimizers(method.networks()))
    assert log.values()["segmenter/feature_distance_distance"] == 0
    assert np.isfinite(list(log.values().values())).all()


FOUNDATION = {
    "term": "feature_distance",
    "classes": "all",
    "domains": "both",
    "cosine_share": 0.9,
    "weight": 0.1,
}


def mixed_distance(features: Tensor, reference: Tensor) -> Tensor:
    """VFM-UDA++'s loss by a loop over cells."""
    total = torch.zeros(())
    cells = [
        (n, y, x)
        for n in range(len(features))
        for y in range(features.shape[2])
        for x in range(features.shape[3])
    ]
    for n, y, x in cells:
        f, r = features[n, :, y, x], reference[n, :, y, x]
        steps = torch.where((f - r).abs() < 1, 0.5 * (f - r) ** 2, (f - r).abs() - 0.5)
        total = total + 0.9 * (1 - (f @ r) / (f.norm() * r.norm())) + 0.1 * steps.mean()
    return total / len(cells)


def test_a_step_with_another_networks_features_equals_one_written_by_hand() -> None:
    """On both domains, with a reference of another width, stride and normalization."""
    segmenter = tiny_segmenter()
    method = align({**FOUNDATION, "backbone": "caffe_resnet50", "weights": "none"}, segmenter=segmenter)
    term, data, by_hand = term_of(method), batch(2, ignored=False), copy.deepcopy(segmenter)
    term.start.layer4 = torch.nn.Identity()
    term.projection = torch.nn.Conv2d(72, 1024, 1)
    reference, projection = copy.deepcopy(term.start).eval(), copy.deepcopy(term.projection)
    mover = torch.optim.SGD(
        [*by_hand.parameters(), *projection.parameters()], lr=0.02, momentum=0.9, weight_decay=5e-4
    )
    bgr = torch.tensor([104.00698793, 116.66876762, 122.67891434]).view(1, 3, 1, 1)
    expected = []
    for images in (data.source_images, data.target_images):
        features = projection(by_hand(by_hand.normalize(images)).features)
        with torch.no_grad():
            other = reference(255 * images.flip(1) - bgr)[-1]
        other = F.interpolate(other, features.shape[-2:], mode="bilinear", align_corners=True)
        expected.append(0.1 * mixed_distance(features, other))
    size = data.source_images.shape[-2:]
    logits = by_hand(by_hand.normalize(data.source_images)).logits
    upsampled = F.interpolate(logits, size, mode="bilinear", align_corners=True)
    (F.cross_entropy(upsampled, data.source_labels) + sum(expected)).backward()
    mover.step()
    log = train_step(method, [data], optimizers(method.networks()))
    assert log.values()["segmenter/feature_distance_distance"] == pytest.approx(expected[0].item(), rel=1e-4)
    assert log.values()["segmenter/feature_distance_target_distance"] == pytest.approx(
        expected[1].item(), rel=1e-4
    )
    assert largest_difference(parameters_of(segmenter), parameters_of(by_hand)) < 1e-5
    assert largest_difference(parameters_of(term.projection), parameters_of(projection)) < 1e-5


def test_the_target_alone_needs_no_source() -> None:
    method = align({**FOUNDATION, "domains": "target"})
    log = train_step(method, [without_source(batch(1))], optimizers(method.networks()))
    assert set(log.values()) == {"segmenter/feature_distance_target_distance"}
    assert not method.needs_source


def test_all_cells_count_the_ignored_ones_too() -> None:
    method = align({**FOUNDATION, "domains": "source", "cosine_share": None})
    term, data = term_of(method), batch(1)
    with torch.no_grad():
        for parameter in method.segmenter.backbone.parameters():
            parameter.mul_(1.1)
        images = method.segmenter.normalize(data.source_images)
        difference = method.segmenter(images).features - term.start.eval()(images)[-1]
    data.source_labels.fill_(255)
    log = train_step(method, [data], optimizers(method.networks()))
    expected = 0.1 * difference.norm(dim=1).mean().item()
    assert log.values()["segmenter/feature_distance_distance"] == pytest.approx(expected, rel=1e-5)


def test_classes_on_the_target_are_refused() -> None:
    with pytest.raises(InputError, match="feature_distance: domains: both: the target has no labels"):
        align({**TERM, "domains": "both"})
