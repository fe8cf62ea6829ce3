"""Imported checkpoints give the logits of the public codes' networks; what does not fit is listed."""

import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from segshift.data.labels import class_set
from segshift.engine.build import build_segmenter
from segshift.engine.presets import load_recipe
from segshift.errors import InputError
from segshift.models import Segmenter, load
from segshift.models.backbones import CAFFE_PIXELS, PixelStatistics
from segshift.models.public_checkpoints import LAYOUTS, Layout, import_checkpoint

from .public_networks import (
    Random,
    State,
    classifier_state,
    classify,
    prefixed,
    resnet_forward,
    resnet_state,
    vgg_forward,
    vgg_state,
)

CLASSES = class_set("cityscapes13")
# Sizes at which rounding up and down in the pooling give different features.
IMAGE = torch.randn(1, 3, 33, 66, generator=torch.Generator().manual_seed(9))


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@cache
def trunk(depth: int) -> State:
    return resnet_state(Random(0, counters=True), depth)


def caffe_state(heads: dict[str, int], depth: int = 50, counters: bool = True, classes: int = 13) -> State:
    random = Random(1, counters)
    state = {key: value for key, value in trunk(depth).items() if counters or "num_batches" not in key}
    for name, channels in heads.items():
        state |= prefixed(classifier_state(random, classes, channels), f"{name}.")
    return state


def hollow(state: State) -> State:
    """The same names and shapes, in a small file: zeros that share one number."""
    return {key: torch.zeros(()).expand(value.shape) for key, value in state.items()}


def outputs(segmenter: Segmenter, image: Tensor = IMAGE) -> Any:
    assert not segmenter.training
    with torch.inference_mode():
        return segmenter(image)


def equal(result: Tensor, expected: Tensor) -> None:
    # As close as the issue wants it, and far enough from nothing for that to mean something.
    assert expected.std() > 0.3
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=1e-4)


MULTI_LEVEL, CLAN = {"layer5": 1024, "layer6": 2048}, {"layer5": 2048, "layer6": 2048}


@pytest.mark.parametrize(
    ("layout", "branches", "prefix", "entry", "counters"),
    [
        ("adaptsegnet", 2, "", None, False),
        ("advent", 4, "module.", "state_dict", True),
    ],
)
def test_multi_level_networks(
    tmp_path: Path, layout: Layout, branches: int, prefix: str, entry: str | None, counters: bool
) -> None:
    state = caffe_state(MULTI_LEVEL, counters=counters)
    content: Any = prefixed(state, prefix)
    file = saved(tmp_path / "a.pth", content if entry is None else {"epoch": 3, entry: content})
    segmenter = import_checkpoint(file, layout, CLASSES)
    result = outputs(segmenter)
    third, fourth = resnet_forward(state, IMAGE, caffe=True)
    assert third.shape[-2:] == (5, 9)
    equal(result.logits, classify(state, "layer6", fourth, branches))
    equal(result.auxiliary_logits, classify(state, "layer5", third, branches))
    assert segmenter.config.input_size == (1024, 512)
    assert segmenter.pixel_statistics == CAFFE_PIXELS
    assert len(segmenter.config.head_dilations) == branches


def test_clan_sums_two_classifiers_of_a_resnet_101(tmp_path: Path) -> None:
    state = caffe_state(CLAN, depth=101)
    file = saved(tmp_path / "clan.pth", {"model": prefixed(prefixed(state, "Scale."), "module.")})
    segmenter = import_checkpoint(file, "clan", CLASSES, input_size=None)
    assert segmenter.config.backbone == "caffe_resnet101" and segmenter.config.classifiers == 2
    result = outputs(segmenter)
    _, fourth = resnet_forward(state, IMAGE, caffe=True)
    first, second = classify(state, "layer5", fourth), classify(state, "layer6", fourth)
    equal(result.head_logits[0], first)
    equal(result.head_logits[1], second)
    equal(result.logits, first + second)
    segmenter.save(tmp_path / "model.safetensors")
    assert torch.equal(outputs(load(tmp_path / "model.safetensors")).logits, result.logits)


@pytest.mark.parametrize(("layout", "name"), [("adaptsegnet", "layer5"), ("advent", "layer6")])
def test_single_level_networks(tmp_path: Path, layout: Layout, name: str) -> None:
    state = caffe_state({name: 2048})
    segmenter = import_checkpoint(saved(tmp_path / "a.pth", state), layout, CLASSES)
    assert segmenter.auxiliary_head is None
    branches = 2 if layout == "adaptsegnet" else 4
    _, fourth = resnet_forward(state, IMAGE, caffe=True)
    equal(outputs(segmenter).logits, classify(state, name, fourth, branches))


def test_forks_of_adaptsegnet_that_sum_all_branches(tmp_path: Path) -> None:
    state = caffe_state({"layer5": 2048})
    file = saved(tmp_path / "a.pth", state)
    _, fourth = resnet_forward(state, IMAGE, caffe=True)
    repaired = import_checkpoint(file, "adaptsegnet", CLASSES, all_branches=True)
    equal(outputs(repaired).logits, classify(state, "layer5", fourth))
    two = outputs(import_checkpoint(file, "adaptsegnet", CLASSES)).logits
    assert (two - classify(state, "layer5", fourth)).abs().max() > 0.1
    with pytest.raises(InputError, match="advent sums all branches anyway"):
        import_checkpoint(file, "advent", CLASSES, all_branches=True)
    del state["layer5.conv2d_list.3.weight"], state["layer5.conv2d_list.3.bias"]
    with pytest.raises(InputError, match=r"missing: layer5\.conv2d_list\.3.*it fits without --all-branches"):
        import_checkpoint(saved(file, state), "adaptsegnet", CLASSES, all_branches=True)


def fada_file(path: Path, features: State, classifier: State, prefix: str = "") -> Path:
    return saved(
        path,
        {
            "iteration": 40000,
            "feature_extractor": prefixed(features, f"{prefix}backbone."),
            "classifier": prefixed(classifier, prefix),
            "model_D": {"cls1.weight": torch.zeros(1)},
            "optimizer_fea": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]},
        },
    )


def test_fada_in_one_flat_file(tmp_path: Path) -> None:
    random = Random(1, counters=False, smallest_variance=1e-5)
    features, classifier = resnet_state(random), classifier_state(random, 13, 2048)
    nested = import_checkpoint(fada_file(tmp_path / "a.pth", features, classifier), "fada", CLASSES)
    flat = prefixed(features, "feature_extractor.module.backbone.") | prefixed(
        classifier, "classifier.module."
    )
    loaded = import_checkpoint(saved(tmp_path / "b.pth", flat), "fada", CLASSES)
    for (name, mine), theirs in zip(nested.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name


@pytest.mark.parametrize(("frozen", "smallest_variance"), [(True, 1e-5), (True, 1e-8), (False, 1e-5)])
def test_fada_with_and_without_eps(tmp_path: Path, frozen: bool, smallest_variance: float) -> None:
    random = Random(1, counters=not frozen, smallest_variance=smallest_variance)
    features, classifier = resnet_state(random), classifier_state(random, 13, 2048)
    file = fada_file(tmp_path / "a.pth", features, classifier, "module." if frozen else "")
    segmenter = import_checkpoint(file, "fada", CLASSES)
    assert segmenter.config.backbone == "resnet50"
    assert segmenter.config.batch_norm == ("frozen" if frozen else "batch")
    assert segmenter.pixel_statistics == PixelStatistics()
    state = features | prefixed(classifier, "classifier.")
    _, fourth = resnet_forward(state, IMAGE, caffe=False, eps=not frozen)
    equal(outputs(segmenter).logits, classify(state, "classifier", fourth))
    _, other = resnet_forward(state, IMAGE, caffe=False, eps=frozen)
    difference = classify(state, "classifier", other) - classify(state, "classifier", fourth)
    assert difference.abs().max() > 0.01  # enough to tell the two apart
    for key, value in segmenter.state_dict().items():
        if key.endswith("running_var"):
            assert (value > 0).all()


@pytest.mark.parametrize(("layout", "branches"), [("fada", 4), ("adaptsegnet", 2)])
def test_vgg(tmp_path: Path, layout: Layout, branches: int) -> None:
    random = Random(2, counters=False)
    features, classifier = vgg_state(random), classifier_state(random, 13, 1024)
    if layout == "fada":
        file = fada_file(tmp_path / "a.pth", features, classifier)
    else:
        content = prefixed(features, "features.") | prefixed(classifier, "classifier.")
        file = saved(tmp_path / "a.pth", content)
    segmenter = import_checkpoint(file, layout, CLASSES)
    state = prefixed(classifier, "classifier.")
    equal(outputs(segmenter).logits, classify(state, "classifier", vgg_forward(features, IMAGE), branches))
    mean = (103.939, 116.779, 123.68) if layout == "fada" else CAFFE_PIXELS.mean
    assert segmenter.pixel_statistics == PixelStatistics(mean, (1.0, 1.0, 1.0), 255.0, "bgr")
    segmenter.save(tmp_path / "m.safetensors")
    assert load(tmp_path / "m.safetensors").pixel_statistics == segmenter.pixel_statistics


@pytest.mark.parametrize(
    ("heads", "layout", "fitting"),
    [
        (
            MULTI_LEVEL,
            "clan",
            r"layer5\.conv2d_list\.0\.weight \(13, 1024.*--layout adaptsegnet or --layout advent$",
        ),
        (CLAN, "advent", r"of another shape: layer5\.conv2d_list.*it fits --layout clan$"),
        (CLAN, "fada", "not hold feature_extractor and classifier apart; it fits --layout clan$"),
        ({"layer6": 2048}, "clan", r"missing: layer5\..*it fits --layout adaptsegnet or --layout advent$"),
    ],
)
def test_a_wrong_layout(tmp_path: Path, heads: dict[str, int], layout: Layout, fitting: str) -> None:
    file = saved(tmp_path / "a.pth", hollow(caffe_state(heads)))
    with pytest.raises(InputError, match=fitting) as caught:
        import_checkpoint(file, layout, CLASSES)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_fadas_two_state_dicts_are_recognised(tmp_path: Path) -> None:
    classifier = classifier_state(Random(3, counters=False), 13, 2048)
    file = fada_file(tmp_path / "a.pth", hollow(trunk(50)), hollow(classifier))
    with pytest.raises(
        InputError, match="holds feature_extractor and classifier apart; it fits --layout fada"
    ):
        import_checkpoint(file, "advent", CLASSES)


def test_missing_and_surplus_names_are_listed(tmp_path: Path) -> None:
    state = hollow(caffe_state(MULTI_LEVEL))
    for index in range(6):
        del state[f"layer3.{index}.bn2.bias"]
    state["layer7.weight"] = state["decoder.weight"] = torch.zeros(1)
    state["bn1.bias"] = torch.zeros(3)
    with pytest.raises(InputError) as caught:
        import_checkpoint(saved(tmp_path / "a.pth", state), "advent", CLASSES)
    message = str(caught.value)
    assert (
        "missing: layer3.0.bn2.bias, layer3.1.bn2.bias, layer3.2.bn2.bias, layer3.3.bn2.bias and 2 more;"
        in (message)
    )
    assert "surplus: layer7.weight, decoder.weight;" in message
    assert "of another shape: bn1.bias (3,) for (64,);" in message
    assert "no other layout fits either" in message and "\n" not in message


def test_another_number_of_classes(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.pth", hollow(caffe_state(CLAN, classes=19)))
    with pytest.raises(InputError, match=r"have 19 classes, cityscapes13 has 13; give --classes 19"):
        import_checkpoint(file, "clan", CLASSES)


def test_files_that_hold_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        import_checkpoint(tmp_path / "none.pth", "clan", CLASSES)
    with pytest.raises(InputError, match="holds no state dict"):
        import_checkpoint(saved(tmp_path / "a.pth", [1, 2]), "clan", CLASSES)
    with pytest.raises(InputError, match="holds no state dict"):
        content = {"feature_extractor": 1, "classifier": {}}
        import_checkpoint(saved(tmp_path / "a.pth", content), "fada", CLASSES)
    with pytest.raises(InputError, match="no other layout fits"):
        import_checkpoint(saved(tmp_path / "a.pth", {"a.b": torch.zeros(1)}), "clan", CLASSES)
    (tmp_path / "a.pth").write_bytes(b"broken")
    with pytest.raises(InputError, match="cannot be read as weights"):
        import_checkpoint(tmp_path / "a.pth", "clan", CLASSES)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("heads", [(), ("layer5",), ("layer5", "layer6"), ("classifier",)])
def test_a_vgg_16_file_that_does_not_fit_is_one_line(
    tmp_path: Path, layout: Layout, heads: tuple[str, ...]
) -> None:
    random = Random(3, counters=False)
    state = vgg_state(random)
    for head in heads:
        state |= prefixed(classifier_state(random, 13, 7), f"{head}.")
    state = {f"features.{key}" if key[0].isdigit() else key: value for key, value in state.items()}
    with pytest.raises(InputError, match=f"is not of layout {layout}; ") as caught:
        import_checkpoint(saved(tmp_path / "a.pth", hollow(state)), layout, CLASSES)
    assert "\n" not in str(caught.value)


def test_numbers_without_a_shape_and_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    state = caffe_state(CLAN)
    state["layer5.conv2d_list.0.weight"] = torch.tensor(3.0)
    with pytest.raises(InputError, match="of another shape: layer5"):
        import_checkpoint(saved(tmp_path / "a.pth", state), "clan", CLASSES)
    state = caffe_state(CLAN)
    state["layer6.conv2d_list.0.bias"] = torch.full((13,), math.nan)
    with pytest.raises(InputError, match=r"second_head\.branches\.0\.bias holds NaN"):
        import_checkpoint(saved(tmp_path / "a.pth", state), "clan", CLASSES)


def test_an_imported_network_is_a_start(tmp_path: Path) -> None:
    state = caffe_state(CLAN)
    segmenter = import_checkpoint(saved(tmp_path / "a.pth", state), "clan", CLASSES)
    segmenter.save(tmp_path / "start.safetensors")
    model = [
        "model.backbone=caffe_resnet50",
        "model.weights=none",
        "model.output_stride=8",
        "model.classifiers=2",
    ]
    recipe = load_recipe("source_only", [f"init_from={tmp_path / 'start.safetensors'}", *model])
    started = build_segmenter(recipe, CLASSES).eval()
    assert torch.equal(outputs(started).logits, outputs(segmenter).logits)
    assert started.pixel_statistics == CAFFE_PIXELS
