"""What the doctor works on: a recipe's method around a tiny network, and streets made of blocks."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from segshift.config import merge, parse
from segshift.data.labels import ClassSet
from segshift.engine.build import build
from segshift.engine.recipe import NO_SOURCE, Recipe
from segshift.engine.seeds import derive_seed
from segshift.engine.smoke import tiny_method, with_tiny_details
from segshift.folders import DatasetFolder
from segshift.methods import Batch, LabelledImages, Method
from segshift.models import Segmenter, SegmenterConfig
from segshift.train_ids import IGNORE

CLASSES = ClassSet("toy", ("road", "building", "car"), ((128, 64, 128), (70, 70, 70), (0, 0, 142)))
SIZE = (48, 48)
"""(height, width) in px: discriminators need at least 32."""
IMAGES = 2
STEPS = 4
_BLOCK_PX = 16
_TINY_MODEL = {
    "backbone": "segshift_tiny",
    "weights": "none",
    "output_stride": 8,
    "head": "deeplab_v2",
    # Batch statistics are those of the images in one pass, which no split of a batch could keep.
    "batch_norm": "frozen",
    "batch_norm_affine": "trained",
}


def toy_recipe(recipe: Recipe, folder: Path) -> Recipe:
    """`recipe` with its method, its number of classifiers and its optimizers, and everything else tiny."""
    dataset = str(_dataset(folder).spec)
    data: dict[str, Any] = merge(
        recipe.model_dump(mode="json"),
        {
            "source": {
                "dataset": dataset if recipe.has_source else NO_SOURCE,
                "split": "source",
                "also": [],
            },
            "target": {"dataset": dataset, "split": "target", "also": []},
            "model": _TINY_MODEL,
            "init_from": None if recipe.init_from is None else str(_start(folder)),
            "classes": None,
            "oracle": False,
            "stages": [],
            "training": {
                "steps": min(STEPS, recipe.training.steps),
                "batch_size": IMAGES,
                "micro_batches": 1,
            },
        },
    )
    data["model"] = with_tiny_details(data["model"])
    data["training"] |= {"workers": 0, "precision": "fp32", "threads": None}
    for name in ("source", "target", *recipe.labelled_streams):
        data[name] = {**data[name], "augmentation": {"resize": [SIZE[1], SIZE[0]]}}
    for name in recipe.labelled_streams:
        data[name] |= {"dataset": dataset, "split": "source", "also": []}
    data["method"] = _without_references(tiny_method(data["method"]))
    return parse(Recipe, data, f"{recipe.name} (doctor)")


def _start(folder: Path) -> Path:
    """A model to start from, for recipes that have one; its biases are not zero, as after training."""
    torch.manual_seed(0)
    segmenter = Segmenter(parse(SegmenterConfig, _TINY_MODEL, "doctor"), CLASSES)
    for parameter in segmenter.head.parameters():
        nn.init.normal_(parameter, 0.0, 0.01)
    file = folder / "start.safetensors"
    segmenter.save(file)
    return file


def _without_references(method: dict[str, Any]) -> dict[str, Any]:
    """A method's section without the settings that refer to earlier stages: there are none here."""
    terms = [
        {key: value for key, value in term.items() if not (isinstance(value, str) and "{" in value)}
        for term in method.get("terms", [])
    ]
    return {**method, "terms": terms} if "terms" in method else method


def toy_method(recipe: Recipe) -> Method:
    """The method with all initial weights drawn from the recipe's seed, in training mode. Its numbers are of
    PyTorch's default type.
    """
    # Whatever that is, a segmenter's pixel statistics are float32.
    return build(recipe, CLASSES).to(torch.get_default_dtype()).train()


def plain_optimizers(method: Method) -> dict[str, Optimizer]:
    """Gradient descent for every network: unlike Adam it does not magnify rounding of small gradients."""
    return {name: SGD(parameters, lr=0.05) for name, parameters in method.networks().items()}


def toy_batch(recipe: Recipe, step: int) -> Batch:
    """The same images and labels for the same step, without ignored pixels."""
    # None of them where the recipe has no source.
    source_images, source_labels = (whole[: IMAGES * recipe.has_source] for whole in _scenes(step, 0))
    target_images, _ = _scenes(step, 1)
    labelled = tuple(
        LabelledImages(name, *_scenes(step, 2 + index)) for index, name in enumerate(recipe.labelled_streams)
    )
    return Batch(
        source_images,
        source_labels,
        target_images,
        step,
        step / STEPS,
        last_micro_batch=True,
        labelled=labelled,
    )


class ToyData:
    """What `Method.prepare` may look at."""

    def target_images(self, batch_size: int, limit: int | None) -> Iterator[Tensor]:
        """As `PreparationData` says."""
        yield from torch.split(_scenes(0, 1)[0], batch_size)

    def source_labels(self, batch_size: int, limit: int | None) -> Iterator[Tensor]:
        """As `PreparationData` says."""
        yield from torch.split(_scenes(0, 0)[1], batch_size)

    def source_fingerprint(self) -> str:
        """As `PreparationData` says."""
        return hashlib.sha256(b"the doctor's toy labels").hexdigest()


def write_toy_dataset(folder: Path) -> Path:
    """Two splits on disk: `source` with labels, `target` with label files that nobody can read."""
    for name, stream in (("source", 0), ("target", 1)):
        images, labels = _scenes(0, stream)
        for kind in ("images", "labels"):
            (folder / name / kind).mkdir(parents=True, exist_ok=True)
        for index in range(IMAGES):
            pixels = (images[index].permute(1, 2, 0) * 255).to(torch.uint8).numpy()
            Image.fromarray(pixels).save(folder / name / "images" / f"{index}.png")
            label = folder / name / "labels" / f"{index}.png"
            if name == "source":
                Image.fromarray(labels[index].numpy().astype(np.uint8)).save(label)
            else:
                label.write_bytes(b"no image: training must never open it")
    spec = {
        "name": "toy",
        "splits": {
            name: {"images": f"{name}/images/*.png", "labels": f"{name}/labels/{{stem}}.png"}
            for name in ("source", "target")
        },
        "classes": list(CLASSES.names),
        "labels": {"kind": "train_ids"},
    }
    return _dataset(folder).finish(spec, "Made by `segshift doctor`.")


def _dataset(folder: Path) -> DatasetFolder:
    return DatasetFolder(folder, "toy.json")


def largest_difference(first: nn.Module, second: nn.Module) -> float:
    """Over all parameters and buffers, relative to the largest value of each (at least 1)."""
    worst = 0.0
    theirs = second.state_dict()
    for name, mine in first.state_dict().items():
        if mine.is_floating_point() and mine.numel():
            scale = max(1.0, float(mine.abs().max()))
            worst = max(worst, float((mine - theirs[name]).abs().max()) / scale)
        elif not torch.equal(mine, theirs[name]):
            return float("inf")
    return worst


def _scenes(step: int, stream: int) -> tuple[Tensor, Tensor]:
    """(IMAGES, 3, H, W) images in [0, 1] and (IMAGES, H, W) labels: blocks in their class's color."""
    generator = torch.Generator().manual_seed(derive_seed(step, stream))
    blocks = (IMAGES, SIZE[0] // _BLOCK_PX, SIZE[1] // _BLOCK_PX)
    coarse = torch.randint(0, CLASSES.count, blocks, generator=generator)
    labels = coarse.repeat_interleave(_BLOCK_PX, 1).repeat_interleave(_BLOCK_PX, 2)
    assert IGNORE not in labels
    colors = torch.tensor(CLASSES.colors, dtype=torch.float32) / 255
    # The target is a darker street.
    images = colors[labels].permute(0, 3, 1, 2) * (1.0 - 0.3 * (stream == 1))
    noise = 0.1 * torch.rand(images.shape, generator=generator)
    return (0.9 * images + noise).contiguous(), labels
