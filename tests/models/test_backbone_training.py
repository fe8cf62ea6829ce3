"""Frozen backbones and low-rank additions (LoRA)."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import segshift as package
from segshift.config import parse
from segshift.data.labels import ClassSet
from segshift.engine.build import build, build_optimizers, build_segmenter
from segshift.engine.fingerprint import recipe_fingerprint
from segshift.engine.recipe import Recipe
from segshift.engine.step import train_step
from segshift.errors import InputError
from segshift.methods import Batch
from segshift.models.backbone_training import (
    LoraConfig,
    merged_state,
    set_backbone_training,
    trained_share,
)
from segshift.models.layer_depths import layer_depths
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_config import SegmenterConfig

CLASSES = ClassSet("toy", ("sky", "ground", "box"), ((0, 0, 255), (0, 255, 0), (255, 0, 0)))
VIT = {"backbone": "vit_tiny_patch16_224", "weights": "none", "head": "linear"}
TINY = {"backbone": "segshift_tiny", "weights": "none", "head": "deeplab_v2"}
TERMS = [{"term": "mean_teacher", "ema_decay": 0.9, "deploy": "teacher", "confidence": 0.0}]


def recipe(**changes: Any) -> Recipe:
    model = {**VIT, **changes.pop("model", {})}
    return parse(Recipe, {"name": "test", "model": model, **changes}, "test")


def batch(step: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(step)
    images = torch.rand(4, 3, 48, 64, generator=generator)
    return Batch(images[:2], torch.randint(3, (2, 48, 64), generator=generator), images[2:], step, 0.0)


def random_additions(segmenter: Segmenter) -> None:
    """As after some training: the additions are no longer zero."""
    for name, parameter in segmenter.named_parameters():
        if name.endswith(".up"):
            nn.init.normal_(parameter, std=0.1)


def logits(segmenter: Segmenter) -> Tensor:
    with torch.inference_mode():
        result: Tensor = segmenter.eval()(batch().source_images).logits
    return result


def test_an_addition_is_that_of_the_paper() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(6, 4)
    plain = copy.deepcopy(layer)
    set_backbone_training(layer_in := nn.ModuleDict({"attn": layer}), "lora", LoraConfig(rank=2, alpha=3))
    x = torch.randn(5, 6)
    torch.testing.assert_close(layer(x), plain(x), rtol=0, atol=0)
    up, down = layer.parametrizations["weight"][0].up, layer.parametrizations["weight"][0].down
    nn.init.normal_(up)
    torch.testing.assert_close(layer(x), plain(x) + 3 / 2 * (x @ down.T) @ up.T)
    trained = {name for name, p in layer_in.named_parameters() if p.requires_grad}
    assert trained == {f"attn.parametrizations.weight.0.{part}" for part in ("up", "down")}
    plain.load_state_dict({k.removeprefix("attn."): v for k, v in merged_state(layer_in).items()})
    torch.testing.assert_close(plain(x), layer(x))


@pytest.mark.parametrize(
    ("backbone", "layers", "expected"),
    [
        ("vit_tiny_patch16_224", None, {"attn.qkv", "attn.proj"}),
        ("vit_tiny_patch16_224", ["qkv", "mlp.fc1"], {"attn.qkv", "mlp.fc1"}),
        # These read the weight of their layer elsewhere; an addition that wraps the layer would do nothing.
        ("swinv2_tiny_window8_256", ["attn.qkv"], {"attn.qkv"}),
        ("eva02_tiny_patch14_224", ["attn.qkv"], {"attn.qkv"}),
        ("resnet18", None, {"conv1", "conv2", "downsample.0"}),
    ],
)
def test_the_layers_that_get_an_addition_learn(backbone: str, layers: Any, expected: set[str]) -> None:
    torch.manual_seed(1)
    config = SegmenterConfig(
        backbone=backbone, weights="none", head="linear", backbone_training="lora",
        lora=LoraConfig(rank=2, layers=layers),
    )  # fmt: skip
    segmenter = Segmenter(config, CLASSES)
    with torch.no_grad():
        for parameter in segmenter.parameters():  # some norms start as zero
            parameter += 0.02 * torch.randn_like(parameter)
    segmenter(batch().source_images).logits.square().sum().backward()
    additions = {n: p for n, p in segmenter.backbone.named_parameters() if p.requires_grad}
    owners = {name.split(".parametrizations")[0] for name in additions}
    assert all(any(owner.endswith(end) for end in expected) for owner in owners)
    assert all(any(owner.endswith(end) for owner in owners) for end in expected)
    for name, parameter in additions.items():
        assert parameter.grad is not None, name
        assert name.endswith(".down") or float(parameter.grad.abs().max()) > 0, name
    assert all(p.grad is None for p in segmenter.backbone.parameters() if not p.requires_grad)


@pytest.mark.parametrize("model", [VIT, TINY], ids=["vit", "cnn"])
def test_a_model_file_is_a_plain_network_with_the_same_answers(tmp_path: Path, model: dict[str, Any]) -> None:
    torch.manual_seed(2)
    segmenter = Segmenter(SegmenterConfig(**model, backbone_training="lora"), CLASSES)
    random_additions(segmenter)
    expected = logits(segmenter)
    segmenter.save(tmp_path / "m.safetensors")
    loaded = package.load(tmp_path / "m.safetensors")
    plain = Segmenter(SegmenterConfig(**model), CLASSES)
    assert loaded.state_dict().keys() == plain.state_dict().keys()
    assert loaded.config.backbone_training == "all" and loaded.config.lora is None
    torch.testing.assert_close(logits(loaded), expected, rtol=1e-5, atol=1e-5)
    # The next run starts from whole weights, with additions of its own that are zero.
    made = recipe(model={**model, "backbone_training": "lora"}, init_from=str(tmp_path / "m.safetensors"))
    again = build_segmenter(made, CLASSES)
    assert any(name.endswith(".up") for name, _ in again.named_parameters())
    torch.testing.assert_close(logits(again), logits(loaded), rtol=0, atol=0)


@pytest.mark.parametrize("training", ["frozen", "lora"])
def test_only_heads_and_additions_move_and_the_teacher_follows(training: str) -> None:
    made = recipe(
        model={"backbone_training": training},
        method={"name": "align", "terms": TERMS},
        optimizers={"segmenter": {"kind": "adamw", "lr": 1e-2}},
    )
    method = build(made, CLASSES)
    before = copy.deepcopy(method.state_dict())
    optimizers = build_optimizers(method, made)
    for step in range(2):
        train_step(method, [batch(step)], optimizers)
    moved = {
        k for k, v in method.state_dict().items() if v.is_floating_point() and not torch.equal(v, before[k])
    }
    for network in ("segmenter.", "terms.0.teacher."):
        own = {key.removeprefix(network) for key in moved if key.startswith(network)}
        assert own and all(key.startswith("head.") or key.endswith((".up", ".down")) for key in own)
        assert any(key.startswith("backbone.") for key in own) == (training == "lora")


def test_the_teachers_additions_are_the_average_of_the_students() -> None:
    made = recipe(model={"backbone_training": "lora"}, method={"name": "align", "terms": TERMS})
    method = build(made, CLASSES)
    optimizers = build_optimizers(method, made)
    key = "backbone.network.model.blocks.3.attn.qkv.parametrizations.weight.0.up"
    seen = []
    for step in range(4):
        train_step(method, [batch(step)], optimizers)
        seen.append(method.state_dict()[f"segmenter.{key}"].clone())
    expected = seen[0]
    for step, value in enumerate(seen[1:], start=1):
        decay = min(1 - 1 / (step + 1), 0.9)
        expected = decay * expected + (1 - decay) * value
    torch.testing.assert_close(method.state_dict()[f"terms.0.teacher.{key}"], expected)


def test_the_share_of_trained_parameters() -> None:
    segmenter = Segmenter(SegmenterConfig(**VIT, backbone_training="lora", lora=LoraConfig(rank=4)), CLASSES)
    # 12 blocks of width 192: qkv 192 x 576 and proj 192 x 192; the head has 2 * 192 + 192 * 3 + 3.
    trained = 12 * 4 * ((192 + 576) + (192 + 192)) + 2 * 192 + 192 * 3 + 3
    total = sum(p.numel() for p in segmenter.parameters())
    assert sum(p.numel() for p in segmenter.parameters() if p.requires_grad) == trained
    expected = f"{trained} of {total / 1e6:.1f} M parameters are trained ({100 * trained / total:.2g} %)"
    assert trained_share(list(segmenter.parameters())) == expected


def test_rates_fall_towards_the_image() -> None:
    made = recipe(
        model={"backbone_training": "lora"},
        optimizers={"segmenter": {"kind": "adamw", "layer_decay": 0.5, "lr_multipliers": {"backbone": 0.1}}},
    )
    method = build(made, CLASSES)
    names = {id(p): name for name, p in method.named_parameters()}
    group_of = {
        names[id(p)].removeprefix("segmenter."): group["multiplier"]
        for group in build_optimizers(method, made)["segmenter"].param_groups
        for p in group["params"]
    }
    addition = "backbone.network.model.blocks.{}.attn.qkv.parametrizations.weight.0.up"
    assert group_of[addition.format(11)] == pytest.approx(0.1 * 0.5)
    assert group_of[addition.format(0)] == pytest.approx(0.1 * 0.5**12)
    assert {factor for name, factor in group_of.items() if name.startswith("head.")} == {1.0}


def test_the_depth_of_layers() -> None:
    """The embedding is as deep as there are layers; names of wrapped and of joined modules are found."""
    names = ["pos_embed", "blocks.0.norm1.weight", "blocks.11.ls1.gamma", "norm.weight"]
    names = [f"network.model.{name}" for name in names]
    assert layer_depths("vit_small_patch14_dinov2", names) == dict(zip(names, (13, 12, 1, 1), strict=True))
    joined = ["stem_0.weight", "stages_0.blocks.0.conv_dw.weight", "stages_3.blocks.1.conv_dw.weight"]
    found = layer_depths("convnext_atto", joined)
    assert found[joined[0]] > found[joined[1]] > found[joined[2]] == 1
    with pytest.raises(InputError, match="layer_decay: mit_b0 is not a network of timm"):
        layer_depths("mit_b0", [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"lora": {"rank": 4}}}, "with backbone_training: lora alone"),
        ({"model": {"backbone_training": "lora", "lora": {"rank": 0}}}, "greater than or equal to 1"),
        ({"model": {"backbone_training": "some"}}, "'all', 'frozen' or 'lora'"),
        ({"model": {"module": "own.py:build", "backbone_training": "frozen"}}, "where the backbone of"),
        (
            {"model": {"backbone_training": "lora", "lora": {"layers": ["qkw"]}}},
            r"model.lora.layers: no .* ends in 'qkw'; there are patch_embed.proj, attn.qkv",
        ),
        (
            {"model": {"backbone_training": "frozen"}, "method": {"terms": [{"term": "feature_alignment"}]}},
            "no features are trained",
        ),
        ({"optimizers": {"segmenter": {"layer_decay": 0}}}, "greater than 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        build(recipe(**changes), CLASSES)
    assert "\n" not in str(caught.value)


def test_runs_of_before_these_settings_go_on() -> None:
    plain = recipe()
    said = recipe(
        model={"backbone_training": "all", "lora": None}, optimizers={"segmenter": {"layer_decay": 1.0}}
    )
    assert recipe_fingerprint(plain) != recipe_fingerprint(recipe(model={"backbone_training": "frozen"}))
    assert recipe_fingerprint(recipe(optimizers={"segmenter": {}})) == recipe_fingerprint(said)
