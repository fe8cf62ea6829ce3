"""How an exported file is compared with its network."""

import pytest
import torch
from torch import Tensor

from segshift.export.compare import Answer, compare
from segshift.export.programs import NotCarriedError
from segshift.models.resize import upsample
from segshift.sizes import height_width

IMAGE = torch.zeros(3, 64, 96, dtype=torch.uint8)


def answer(lead: float, off: float = 0.0, turned: bool = False) -> Answer:
    """Two classes side by side, `lead` apart; every logit of the first is `off`; labels `turned` around."""

    def said(image: Tensor) -> tuple[Tensor, Tensor]:
        logits = torch.zeros(1, 2, 8, 12)
        logits[:, 0, :, :6], logits[:, 1, :, 6:] = 1, 1
        logits[:, 0, :4, :6] = lead
        logits[:, 0] += off
        labels = upsample(logits, height_width(image)).argmax(dim=1).byte()
        return 1 - labels if turned else labels, logits

    return said


def test_equal_answers() -> None:
    found = compare(answer(0.3), answer(0.3), [IMAGE])
    assert (found.pixels, found.decided, found.difference, found.sizes) == (1, 1, 0, 4)
    found.check("model.onnx", "fp32", None)


def test_a_class_that_is_as_good_as_equal_may_turn() -> None:
    """A quarter of the image has a lead of 0.001 and logits are 0.002 off."""
    found = compare(answer(0.001, off=-0.002), answer(0.001), [IMAGE])
    assert found.pixels < 0.85 and found.decided == 1
    found.check("model.onnx", "fp32", None)
    with pytest.raises(Exception, match=r"model_fp16.onnx: is not the network: [78]"):
        found.check("model_fp16.onnx", "fp16", None)


def test_wrong_labels_are_seen_beside_right_logits() -> None:
    found = compare(answer(0.3, turned=True), answer(0.3), [IMAGE])
    assert found.difference == found.decided == 0
    with pytest.raises(NotCarriedError, match=r"0\.000 % of the pixels get its class"):
        found.check("model.onnx", "fp32", None)


def test_logits_that_are_off_are_seen_beside_right_labels() -> None:
    found = compare(answer(0.3, off=0.1), answer(0.3), [IMAGE])
    with pytest.raises(NotCarriedError, match=r"logits differ by up to 0\.1 "):
        found.check("model.onnx", "fp32", None)
