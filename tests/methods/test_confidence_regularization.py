"""CRST's terms against steps written by hand, and where they do nothing."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import Batch, LabelledImages
from segshift.models.segmenter import Segmenter
from tests.methods.networks import (
    CLASSES,
    align,
    batch,
    largest_difference,
    optimizers,
    parameters_of,
    tiny_segmenter,
)

K = CLASSES.count


def with_labels(step: int, name: str = "pseudo_labelled") -> Batch:
    data = batch(step)
    generator = torch.Generator().manual_seed(step)
    labels = torch.randint(
        0, K, data.target_images.shape[:1] + data.target_images.shape[2:], generator=generator
    )
    labels[:, ::2] = 255
    return replace(data, labelled=(LabelledImages(name, data.target_images, labels),))


def logits_of(segmenter: Segmenter, images: Tensor) -> Tensor:
    output = segmenter((images - segmenter.mean) / segmenter.std)
    return F.interpolate(output.logits, size=images.shape[-2:], mode="bilinear", align_corners=True)


@pytest.mark.parametrize("kind", ["mrkld", "mrent", "mrl2"])
def test_model_regularization_equals_a_step_by_hand(kind: str) -> None:
    method = align({"term": "confidence_regularization", "kind": kind, "weight": 5.0})
    plain = align(segmenter=copy.deepcopy(method.segmenter))
    segmenter = copy.deepcopy(method.segmenter)
    movers, by_hand = optimizers(method.networks()), optimizers({"segmenter": list(segmenter.parameters())})
    plain_movers = optimizers(plain.networks())
    for step in range(2):
        data = with_labels(step)
        assert train_step(method, [data], movers).schedule == ["segmenter*", "segmenter"]
        train_step(plain, [data], plain_movers)
        loss = F.cross_entropy(logits_of(segmenter, data.source_images), data.source_labels, ignore_index=255)
        images, labels = data.labelled[0].images, data.labelled[0].labels
        logits = logits_of(segmenter, images)
        loss = loss + F.cross_entropy(logits, labels, ignore_index=255)
        p = logits.softmax(1).permute(0, 2, 3, 1)[labels != 255]
        per_pixel = {
            "mrkld": -p.log().sum(1) / K,
            "mrent": (p * p.log()).sum(1),
            "mrl2": (p**2).sum(1),
        }[kind]
        loss = loss + 5.0 * per_pixel.mean()
        by_hand["segmenter"].zero_grad()
        loss.backward()
        by_hand["segmenter"].step()
    mine = parameters_of(method.segmenter)
    assert largest_difference(mine, parameters_of(segmenter)) < 2e-6
    assert largest_difference(mine, parameters_of(plain.segmenter)) > 2e-5


def thresholds(tmp_path: Path) -> Path:
    path = tmp_path / "pseudo_labels.json"
    rows = {"box": 0.5, "sky": 0.9, "ground": None}
    path.write_text(json.dumps({"classes": {name: {"threshold": value} for name, value in rows.items()}}))
    return path


def test_label_regularization_equals_a_step_by_hand(tmp_path: Path) -> None:
    term = {"term": "label_regularization", "alpha": 0.5, "thresholds": str(thresholds(tmp_path))}
    method = align(term, labelled_weight=0, segmenter=tiny_segmenter(batch_norm="batch"))
    segmenter, start = copy.deepcopy(method.segmenter), copy.deepcopy(method.segmenter).eval()
    movers, by_hand = optimizers(method.networks()), optimizers({"segmenter": list(segmenter.parameters())})
    assert len(method.networks()["segmenter"]) == len(list(segmenter.parameters()))
    labeller = {name: value.clone() for name, value in method.terms[0].labeller.state_dict().items()}
    limits = torch.tensor([0.9, 1.0, 0.5]).view(1, K, 1, 1)
    for step in range(2):
        data = with_labels(step)
        train_step(method, [data], movers)
        loss = F.cross_entropy(logits_of(segmenter, data.source_images), data.source_labels, ignore_index=255)
        images, labels = data.labelled[0].images, data.labelled[0].labels
        with torch.no_grad():
            powers = (logits_of(start, images).softmax(1) / limits) ** 2
            soft = powers / powers.sum(1, keepdim=True)
        per_pixel = -(soft * logits_of(segmenter, images).log_softmax(1)).sum(1)
        loss = loss + per_pixel[labels != 255].mean()
        by_hand["segmenter"].zero_grad()
        loss.backward()
        by_hand["segmenter"].step()
    assert largest_difference(parameters_of(method.segmenter), parameters_of(segmenter)) < 2e-6
    for name, value in method.terms[0].labeller.state_dict().items():
        assert torch.equal(value, labeller[name]), name
    assert method.deployed() is method.segmenter


@pytest.mark.parametrize("term", ["confidence_regularization", "label_regularization"])
def test_true_labels_are_left_alone(term: str) -> None:
    method = align({"term": term})
    log = train_step(method, [with_labels(0, "target_labelled")], optimizers(method.networks()))
    assert set(log.losses) == {"segmenter/supervised", "segmenter/target_labelled"}
    assert not method.uses_target
    assert train_step(method, [batch()], optimizers(method.networks())).schedule == ["segmenter"]


def test_thresholds_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    path = thresholds(tmp_path)
    for text in ("", "{}", '{"classes": {"sky": {"threshold": 0.5}}}', '{"classes": []}'):
        path.write_text(text)
        with pytest.raises(
            InputError, match=r"is no pseudo_labels\.json with the classes sky, ground, box"
        ) as error:
            align({"term": "label_regularization", "thresholds": str(path)})
        assert len(str(error.value).splitlines()) == 1
    with pytest.raises(InputError, match="gone"):
        align({"term": "label_regularization", "thresholds": str(tmp_path / "gone")})
