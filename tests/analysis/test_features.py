"""What an analysis sees of an image."""

import numpy as np
import pytest
import torch

from segshift.analysis.features import feature_maps, label_cells
from segshift.analysis.measure import known_items
from segshift.data.labels import ClassSet
from segshift.data.resolve import resolve
from segshift.data.sampling import evenly
from segshift.errors import InputError
from segshift.models.inference_config import Inference
from segshift.models.pixels import network_input
from tests.models.networks import tiny

TOY = ClassSet("toy", ("sky", "ground", "box"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))


def test_cells_have_the_class_of_the_pixel_at_their_center() -> None:
    label = torch.arange(48, dtype=torch.uint8).view(6, 8)
    expected = [[label[int((y + 0.5) * 3), int((x + 0.5) * 2)].item() for x in range(4)] for y in range(2)]
    assert label_cells(label, (2, 4)).tolist() == expected


def test_a_look_is_the_networks_forward_pass(toy_target: str) -> None:
    segmenter = tiny(classes=TOY)
    items, known = known_items(resolve(f"{toy_target}:val"), TOY)
    assert known == TOY.names
    first = next(iter(feature_maps(segmenter, items, inference=Inference(input_size=(64, 48)))))
    assert segmenter.training, "the mode is as before"
    segmenter.eval()
    image = network_input(items[0].image[None], (64, 48))
    with torch.no_grad():
        output = segmenter(segmenter.normalize(image))
        probabilities = torch.nn.functional.interpolate(
            output.logits, (48, 64), mode="bilinear", align_corners=True
        ).softmax(1)
    np.testing.assert_allclose(first.features, output.features[0], rtol=1e-5)
    entropy = -(probabilities * probabilities.log()).sum(1).mean() / np.log(3)
    assert first.mean_entropy == pytest.approx(float(entropy), rel=1e-4)
    label = items[0].label
    assert label is not None
    assert first.labels.tolist() == label_cells(label, first.features.shape[1:]).tolist()
    np.testing.assert_allclose(
        first.descriptor, first.features.reshape(len(first.features), -1).mean(1), rtol=1e-4
    )


def test_without_labels_the_classes_are_predictions(toy_target: str) -> None:
    segmenter = tiny(classes=TOY).eval()
    items, _ = known_items(resolve(f"{toy_target}:unlabelled"), TOY)
    first = next(iter(feature_maps(segmenter, items)))
    with torch.no_grad():
        output = segmenter(segmenter.normalize(items[0].image[None].float() / 255))
    assert first.labels.shape == first.features.shape[1:]
    assert first.labels.tolist() == output.logits.argmax(1)[0].tolist()


def test_a_split_may_lack_classes_but_not_all(toy_target: str) -> None:
    more = ClassSet("more", ("box", "tree", "sky"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
    items, known = known_items(resolve(f"{toy_target}:val"), more)
    assert known == ("box", "sky")
    label = items[0].label
    assert label is not None and set(label.unique().tolist()) == {0, 2, 255}
    with pytest.raises(InputError, match="have nothing for tree"):
        known_items(resolve(f"{toy_target}:val"), ClassSet("other", ("tree",), ((1, 2, 3),)))


def test_places_are_spread_evenly() -> None:
    assert evenly(3, 5) == [0, 1, 2]
    assert evenly(10, 4) == [0, 2, 5, 7]
    assert len(set(evenly(997, 200))) == 200
