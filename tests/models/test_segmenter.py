"""The segmenter: outputs, prediction, model files."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from segshift.errors import InputError
from segshift.models import PixelStatistics, Segmenter, SegmenterConfig, load, upsample

from .networks import CLASSES, tiny


def picture(height: int = 40, width: int = 56, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_output_shapes_and_auxiliary_head() -> None:
    segmenter = tiny(auxiliary_head=True)
    output = segmenter(torch.rand(2, 3, 48, 64))
    assert output.features.shape == (2, segmenter.feature_channels, 6, 8)
    assert output.logits.shape == (2, 4, 6, 8)
    assert output.auxiliary_features.shape == (2, segmenter.auxiliary_channels, 6, 8)
    assert output.auxiliary_logits.shape == (2, 4, 6, 8)
    torch.testing.assert_close(output.logits, segmenter.head(output.features))
    assert tiny()(torch.rand(1, 3, 32, 32)).auxiliary_logits is None


def test_two_classifiers_are_summed() -> None:
    segmenter = tiny(classifiers=2, auxiliary_head=True).eval()
    output = segmenter(torch.rand(2, 3, 32, 48))
    first, second = segmenter.head(output.features), segmenter.second_head(output.features)
    assert not torch.equal(first, second)
    torch.testing.assert_close(output.head_logits, (first, second))
    torch.testing.assert_close(output.logits, first + second)
    assert output.pyramid[-1] is output.features and output.pyramid[-2] is output.auxiliary_features
    one = tiny().eval()(torch.rand(1, 3, 32, 48))
    assert len(one.head_logits) == 1 and one.head_logits[0] is one.logits
    assert tiny().second_head is None


def test_a_second_classifier_changes_no_other_initial_weight() -> None:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"backbone": "segshift_tiny", "weights": "none", "auxiliary_head": True}
    one = Segmenter(SegmenterConfig(**settings), CLASSES).state_dict()
    torch.manual_seed(0)
    two = Segmenter(SegmenterConfig(**settings, classifiers=2), CLASSES).state_dict()
    assert all(torch.equal(value, two[key]) for key, value in one.items())
    assert {key.split(".")[0] for key in two.keys() - one.keys()} == {"second_head"}


def test_classifiers_take_a_pyramid_without_its_graph() -> None:
    segmenter = tiny(classifiers=2)
    output = segmenter(torch.rand(1, 3, 32, 48))
    logits = segmenter.classify(tuple(features.detach() for features in output.pyramid))
    torch.testing.assert_close(logits, output.head_logits)
    inputs = (next(segmenter.backbone.parameters()), segmenter.head.branches[0].weight)
    gradients = torch.autograd.grad(logits[0].sum(), inputs, allow_unused=True)
    assert gradients[0] is None and gradients[1] is not None


def fcn8s(**settings: Any) -> Segmenter:
    config = {"backbone": "resnet18", "weights": "none", "head": "fcn8s", "output_stride": 32, **settings}
    return Segmenter(SegmenterConfig.model_validate(config), CLASSES)


def test_fcn8s_on_a_timm_backbone(tmp_path: Path) -> None:
    segmenter = fcn8s(classifiers=2, skip_factors=(0.5, 0.25)).eval()
    output = segmenter(torch.rand(1, 3, 64, 96))
    assert [features.shape[-1] for features in output.pyramid] == [12, 6, 3]
    assert output.features is output.pyramid[-1]
    assert output.logits.shape == (1, 4, 8, 12)
    torch.testing.assert_close(output.logits, segmenter.head(output.pyramid) + output.head_logits[1])
    segmenter.save(tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors")
    assert loaded.head.skip_factors == (0.5, 0.25)
    picked = torch.rand(1, 3, 64, 96)
    assert torch.equal(loaded(picked).logits, segmenter(picked).logits)
    assert loaded.predict(picture()).shape == (40, 56)


def test_fcn8s_on_vgg_16_has_the_papers_size() -> None:
    with torch.device("meta"):
        segmenter = fcn8s(backbone="vgg16_fc")
        output = segmenter(torch.zeros(1, 3, 320, 640))
    assert output.logits.shape == (1, 4, 40, 80) and output.features.shape == (1, 4096, 10, 20)
    # VGG-16 without its last layer has 134 260 544 parameters.
    assert sum(p.numel() for p in segmenter.backbone.parameters()) == 134_260_544


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output_stride": 8}, "head = fcn8s: takes features at strides 8, 16 and 32, .* gives 8, 8, 8;"),
        ({"auxiliary_head": True}, "auxiliary_head = true: head fcn8s .* auxiliary_head: false"),
        ({"backbone": "segshift_tiny"}, "backbone = segshift_tiny: gives features at 2 levels.*vgg16_fc"),
        ({"backbone": "vgg16"}, "backbone = vgg16: gives features at 2 levels"),
    ],
)
def test_fcn8s_refuses_what_it_cannot_use(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        fcn8s(**settings)
    assert "\n" not in str(caught.value)


def test_timm_backbone_in_a_segmenter() -> None:
    config = SegmenterConfig(backbone="resnet18", weights="none", output_stride=16, auxiliary_head=True)
    output = Segmenter(config, CLASSES)(torch.rand(2, 3, 64, 96))
    assert output.logits.shape == output.auxiliary_logits.shape == (2, 4, 4, 6)


def test_parameter_names_tell_the_part() -> None:
    names = [name for name, _ in tiny(auxiliary_head=True).named_parameters()]
    assert {name.split(".")[0] for name in names} == {"backbone", "head", "auxiliary_head"}


def test_normalize_uses_the_backbones_statistics() -> None:
    segmenter = Segmenter(SegmenterConfig(backbone="tf_efficientnet_lite0", weights="none"), CLASSES)
    image = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(segmenter.normalize(image).flatten(), torch.tensor([-1.0, 0.0, 1.0]))
    given = PixelStatistics((0.1, 0.2, 0.3), (1.0, 2.0, 4.0))
    config = SegmenterConfig(backbone="segshift_tiny", weights="none")
    segmenter = Segmenter(config, CLASSES, pixel_statistics=given)
    torch.testing.assert_close(segmenter.normalize(image).flatten(), torch.tensor([-0.1, 0.15, 0.175]))
    assert not {"mean", "std"} & segmenter.state_dict().keys()


def test_caffe_networks_take_bgr_from_0_to_255(tmp_path: Path) -> None:
    segmenter = tiny(pixels="caffe_bgr")
    images = torch.rand(2, 3, 5, 6)
    red, green, blue = (255 * images).unbind(1)
    expected = torch.stack([blue - 104.00698793, green - 116.66876762, red - 122.67891434], 1)
    torch.testing.assert_close(segmenter.normalize(images), expected, rtol=0, atol=1e-4)
    segmenter.save(tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors")
    assert torch.equal(loaded.normalize(images), segmenter.normalize(images))


def test_files_from_before_these_settings_still_load(tmp_path: Path) -> None:
    segmenter = tiny(auxiliary_head=True)
    segmenter.save(tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", framework="pt") as stream:
        metadata = json.loads(stream.metadata()["segshift"])
    for key in ("pixel_scale", "pixel_order"):
        del metadata[key]
    for key in ("pixels", "head", "classifiers", "skip_factors"):
        del metadata["config"][key]
    save_file(segmenter.state_dict(), tmp_path / "old.safetensors", {"segshift": json.dumps(metadata)})
    loaded, x = load(tmp_path / "old.safetensors"), torch.rand(1, 3, 32, 48)
    assert torch.equal(loaded(loaded.normalize(x)).logits, segmenter.eval()(segmenter.normalize(x)).logits)


def test_predict_takes_files_pictures_arrays_and_tensors_alike(tmp_path: Path) -> None:
    segmenter, array = tiny(), picture()
    Image.fromarray(array).save(tmp_path / "a.png")
    inputs: list[Any] = [
        array,
        torch.from_numpy(array).permute(2, 0, 1),
        Image.fromarray(array),
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
    ]
    predictions = [segmenter.predict(one) for one in inputs]
    for prediction in predictions:
        assert prediction.dtype == np.uint8
        np.testing.assert_array_equal(prediction, predictions[0])
    images = torch.from_numpy(array).permute(2, 0, 1)[None] / 255
    segmenter.eval()
    expected = upsample(segmenter(segmenter.normalize(images)).logits, (40, 56)).argmax(1)[0]
    np.testing.assert_array_equal(predictions[0], expected.numpy())
    assert len(np.unique(predictions[0])) > 1


def test_predict_at_another_input_size_answers_at_the_images_size() -> None:
    segmenter = tiny(input_size=(48, 32))
    shapes: list[Any] = []
    segmenter.backbone.register_forward_pre_hook(lambda module, inputs: shapes.append(tuple(inputs[0].shape)))
    assert segmenter.predict(picture(50, 70)).shape == (50, 70)
    assert shapes == [(1, 3, 32, 48)]


def test_predict_changes_neither_mode_nor_averages() -> None:
    segmenter = tiny(batch_norm="running").train()
    before = {key: value.clone() for key, value in segmenter.state_dict().items()}
    segmenter.predict(picture())
    assert segmenter.training
    assert all(torch.equal(value, before[key]) for key, value in segmenter.state_dict().items())


def test_predict_leaves_the_callers_array_alone() -> None:
    array = picture()[:, ::-1]
    array.flags.writeable = False
    assert tiny().predict(array).shape == (40, 56)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 1), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.int64),
        np.full((8, 8, 3), 200, np.float32),
        np.full((8, 8, 3), np.nan, np.float32),
        np.zeros((0, 8, 3), np.uint8),
        torch.zeros(8, 8, 3, dtype=torch.uint8),
        torch.full((3, 8, 8), -2.1),
        torch.zeros(3, 8, 8, dtype=torch.int32),
        torch.zeros(1, 4, 8, 8, dtype=torch.uint8),
        [torch.zeros(3, 8, 8), "no/such/image.png"],
        Image.new("I", (8, 8)),
        Image.new("RGBA", (8, 8)),
        "no/such/image.png",
    ],
)
def test_predict_refuses_other_inputs(image: Any) -> None:
    with pytest.raises(InputError) as caught:
        tiny().predict(image)
    assert "\n" not in str(caught.value)


def test_probabilities_sum_to_one_at_the_size_asked_for() -> None:
    probabilities = tiny().eval().predict_probabilities(torch.rand(2, 3, 32, 48), (20, 30))
    assert probabilities.shape == (2, 4, 20, 30)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2, 20, 30))


def test_channels_last_gives_the_same() -> None:
    segmenter, x = tiny().eval(), torch.rand(2, 3, 32, 48)
    expected = segmenter(x).logits
    segmenter.to(memory_format=torch.channels_last)
    result = segmenter(x.contiguous(memory_format=torch.channels_last)).logits
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-4)


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    segmenter = tiny(
        auxiliary_head=True, batch_norm="running", batch_norm_affine="frozen", input_size=(48, 32)
    )
    segmenter.save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert not loaded.training
    x = torch.rand(2, 3, 32, 48)
    expected, result = segmenter.eval()(segmenter.normalize(x)), loaded(loaded.normalize(x))
    assert torch.equal(result.logits, expected.logits)
    assert torch.equal(result.auxiliary_logits, expected.auxiliary_logits)
    assert loaded.config == segmenter.config
    assert loaded.classes == segmenter.classes
    assert loaded.class_names == CLASSES.names
    np.testing.assert_array_equal(loaded.palette, CLASSES.palette)
    assert loaded.pixel_statistics == segmenter.pixel_statistics
    assert torch.equal(load(tmp_path)(loaded.normalize(x)).logits, expected.logits)  # a run folder
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.safetensors", "model.safetensors"]


def test_the_loaded_batch_norm_mode_holds(tmp_path: Path) -> None:
    tiny(batch_norm="frozen").save(tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors").train()
    before = [value.clone() for value in loaded.buffers()]
    loaded(torch.rand(2, 3, 32, 48))
    assert all(torch.equal(old, new) for old, new in zip(before, loaded.buffers(), strict=True))


def test_channels_last_networks_can_be_saved(tmp_path: Path) -> None:
    segmenter = tiny().to(memory_format=torch.channels_last)
    segmenter.save(tmp_path / "m.safetensors")
    for key, value in load(tmp_path / "m.safetensors").state_dict().items():
        assert torch.equal(value, segmenter.state_dict()[key])


def test_loading_never_fetches_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = Segmenter(SegmenterConfig(backbone="resnet18", weights="none"), CLASSES)
    segmenter.config = segmenter.config.model_copy(update={"weights": "imagenet"})
    segmenter.save(tmp_path / "m.safetensors")
    monkeypatch.setattr("segshift.models.backbones._downloaded", lambda *_: pytest.fail("asked the hub"))
    loaded = load(tmp_path / "m.safetensors")
    assert loaded.config.weights == "imagenet"


def test_the_file_describes_itself(tmp_path: Path) -> None:
    tiny().save(tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", framework="pt") as stream:
        metadata = json.loads(stream.metadata()["segshift"])
    assert metadata["class_names"] == list(CLASSES.names)
    assert metadata["class_colors"] == [list(color) for color in CLASSES.colors]
    assert metadata["config"]["backbone"] == "segshift_tiny"
    assert metadata["pixel_mean"] == [0.485, 0.456, 0.406]
    assert metadata["version"]


def test_files_that_are_no_models(tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    tiny().save(good)
    cut = good.read_bytes()[:-1000]
    broken = {"text.safetensors": b"hello", "empty.safetensors": b"", "cut.safetensors": cut}
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="not a complete safetensors file"):
            load(tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "missing.safetensors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"folder.model\.safetensors: no such file"):
        load(tmp_path / "folder")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(InputError, match="no segshift configuration"):
        load(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "{", "is broken"),
        (lambda text: text.replace('"segshift_tiny"', '"resnet51"'), "resnet51"),
        (lambda text: text.replace('"output_stride":8', '"output_stride":7'), "output_stride"),
        (lambda text: text.replace('"person"', '"person","dog"'), "colors"),
        (lambda text: text.replace('"auxiliary_head":false', '"auxiliary_head":true'), "do not fit"),
        (lambda text: text.replace('"segshift_tiny"', '"convnext_xxlarge"'), "do not fit"),
        (lambda text: text.replace('"head_dilations":[6,', '"head_dilations":[0,'), r"head_dilations\.0"),
        (lambda text: text.replace('"head_dilations":[6,', '"head_dilations":[-6,'), r"head_dilations\.0"),
        (lambda text: text.replace('"head_dilations":[6,', '"head_dilations":[999999,'), "head_dilations"),
        (lambda text: text.replace('"input_size":null', '"input_size":[0,32]'), r"input_size\.0"),
        (lambda text: text.replace('"input_size":null', '"input_size":[1000000000,32]'), r"input_size\.0"),
        (lambda text: text.replace('"class_colors":[[', '"class_colors":[[1'), "class_colors"),
        (lambda text: text.replace('"class_colors":[[', '"class_colors":[[-'), "class_colors"),
        (lambda text: text.replace('"pixel_std":[0.', '"pixel_std":[-0.'), r"pixel_std\.0"),
        (lambda text: text.replace('"pixel_mean":[0.', '"pixel_mean":[NaN,0.'), "pixel_mean"),
        (lambda text: text.replace('"person"', '"road"'), "'road' stands twice"),
        (lambda text: text.replace('"config":{', '"config":[{"a":') + "]", "broken"),
        (lambda text: "[" * 100_000, "broken"),
        (lambda text: "[]", "the file"),
        (lambda text: "3", "the file"),
    ],
)
def test_metadata_that_was_tampered_with(tmp_path: Path, change: Any, message: str) -> None:
    segmenter = tiny()
    segmenter.save(tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", framework="pt") as stream:
        text = stream.metadata()["segshift"]
    assert change(text) != text
    save_file(segmenter.state_dict(), tmp_path / "bad.safetensors", {"segshift": change(text)})
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path / "bad.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value * math.nan, "head.branches.0.bias holds NaN or infinity"),
        (lambda value: value + math.inf, "head.branches.0.bias holds NaN or infinity"),
        (lambda value: value > 0, "head.branches.0.bias holds bool numbers, no weights"),
        (lambda value: value.to(torch.int8), "holds int8 numbers"),
        (lambda value: value.to(torch.complex64), "holds complex64 numbers"),
    ],
)
def test_weights_that_are_none(tmp_path: Path, change: Any, message: str) -> None:
    segmenter = tiny()
    segmenter.save(tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", framework="pt") as stream:
        metadata = stream.metadata()
    state = segmenter.state_dict()
    state["head.branches.0.bias"] = change(state["head.branches.0.bias"])
    save_file(state, tmp_path / "bad.safetensors", metadata)
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path / "bad.safetensors")
    assert "bad.safetensors" in str(caught.value) and "\n" not in str(caught.value)


def test_half_precision_is_read(tmp_path: Path) -> None:
    segmenter = tiny()
    segmenter.save(tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", framework="pt") as stream:
        metadata = stream.metadata()
    half = {key: v.half() if v.is_floating_point() else v for key, v in segmenter.state_dict().items()}
    save_file(half, tmp_path / "half.safetensors", metadata)
    assert torch.equal(
        load(tmp_path / "half.safetensors").head.branches[0].weight, half["head.branches.0.weight"].float()
    )


def test_a_deep_copy_is_independent() -> None:
    segmenter = tiny()
    copied, x = copy.deepcopy(segmenter), torch.rand(2, 3, 32, 48)
    assert torch.equal(copied.eval()(x).logits, segmenter.eval()(x).logits)
    with torch.no_grad():
        copied.head.branches[0].weight.add_(1)  # type: ignore[operator]
    assert not torch.equal(copied(x).logits, segmenter(x).logits)


def test_the_same_seed_gives_the_same_network() -> None:
    x = torch.rand(1, 3, 32, 48)
    assert torch.equal(tiny(seed=3)(x).logits, tiny(seed=3)(x).logits)
    assert not torch.equal(tiny(seed=3)(x).logits, tiny(seed=4)(x).logits)


def test_the_tiny_network_learns_from_scratch() -> None:
    # Colored squares on noise: after few steps nearly every pixel inside them must be right.
    generator = torch.Generator().manual_seed(0)
    segmenter = tiny()
    optimizer = torch.optim.Adam(segmenter.parameters(), lr=3e-3)
    for _ in range(40):
        labels = torch.randint(0, 4, (4, 3, 4), generator=generator)
        labels = labels.repeat_interleave(16, 1).repeat_interleave(16, 2)
        colors = torch.tensor(CLASSES.colors).float() / 255
        images = colors[labels].permute(0, 3, 1, 2) + 0.1 * torch.randn(4, 3, 48, 64, generator=generator)
        logits = upsample(segmenter(segmenter.normalize(images)).logits, (48, 64))
        loss = torch.nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert (logits.argmax(1) == labels).float().mean() > 0.75
