"""How right a network's own labels of a target are: seen in crops or whole, by averages or by the batch.

    python benchmarks/pseudo_labels.py runs/game_camvid/seed_0/start camvid:ROOT:train \
        --resize 240x180 --crops 128x96,128x180 --every 3 --confused sidewalk,road

A teacher labels what training shows it: crops, normalised by the statistics of a batch of four. The same
pixels (those of the first size of `--crops`, at random places) are labelled from that crop, from larger ones
around it and from the whole image. The target's labels are opened, so this explains a result and chooses
nothing. Prints Markdown.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from segshift.data.augmentation import Augmentation
from segshift.data.dataset import SegmentationDataset
from segshift.data.resolve import resolve
from segshift.evaluation.confusion import confusion_matrix, iou, miou
from segshift.models import Segmenter, load
from segshift.models.resize import upsample
from segshift.sizes import HeightWidth, WidthHeight, height_width

BATCH = 4
Place = tuple[int, int]


def size(text: str) -> WidthHeight:
    """(width, height) of "240x180"."""
    width, height = map(int, text.split("x"))
    return WidthHeight((width, height))


def around(inner: Place, small: HeightWidth, large: HeightWidth, whole: HeightWidth) -> Place:
    """Where a larger crop starts that holds a smaller one, as centered on it as the image allows."""
    starts = (
        min(max(0, inner[axis] + (small[axis] - large[axis]) // 2), whole[axis] - large[axis])
        for axis in (0, 1)
    )
    top, left = starts
    return top, left


def cut(maps: Tensor, places: Sequence[Place], area: HeightWidth) -> Tensor:
    """(N, ..., h, w): of each map its window at a place."""
    return torch.stack(
        [
            one[..., top : top + area[0], left : left + area[1]]
            for one, (top, left) in zip(maps, places, strict=True)
        ]
    )


def batches(data: SegmentationDataset, every: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images in [0, 1] and labels, four at a time in a random order."""
    order = torch.randperm(len(range(0, len(data), every))) * every
    for start in range(0, len(order) - BATCH + 1, BATCH):
        items = [data[int(index)] for index in order[start : start + BATCH]]
        labels = [item.label for item in items if item.label is not None]
        yield torch.stack([item.image for item in items]).float() / 255, torch.stack(labels).long()


def label(network: Segmenter, images: Tensor) -> Tensor:
    """(N, H, W) train ids."""
    with torch.no_grad():
        logits = network(network.normalize(images)).logits
    return upsample(logits, height_width(images)).argmax(dim=1)


def measure(
    network: Segmenter, data: SegmentationDataset, crops: Sequence[WidthHeight], every: int
) -> dict[str, Tensor]:
    """Confusion matrices by the way the labels were made."""
    classes = len(network.class_names)
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    found: dict[str, Tensor] = {}
    for images, labels in batches(data, every):
        whole = height_width(images)
        areas = [HeightWidth((height, width)) for width, height in crops] + [whole]
        inner = [
            tuple(int(torch.randint(whole[axis] - areas[0][axis] + 1, ())) for axis in (0, 1)) for _ in images
        ]
        truth = cut(labels, inner, areas[0])
        for batch_statistics in (False, True):
            network.load_state_dict(weights)  # training mode moves the averages
            network.train(batch_statistics)
            for area in areas:
                outer = [around(place, areas[0], area, whole) for place in inner]
                inside = [(p[0] - o[0], p[1] - o[1]) for p, o in zip(inner, outer, strict=True)]
                told = cut(label(network, cut(images, outer, area)), inside, areas[0])
                seen = "whole" if area == whole else f"{area[1]}x{area[0]}"
                key = f"{seen} | {'batch' if batch_statistics else 'averages'}"
                found[key] = found.get(
                    key, torch.zeros(classes, classes, dtype=torch.int64)
                ) + confusion_matrix(told, truth, classes)
    return found


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="How right a network's own labels of a target are.")
    parser.add_argument("model", type=Path)
    parser.add_argument("data", help="labelled target images, DATASET:SPLIT")
    parser.add_argument("--resize", type=size, required=True, help="WxH")
    parser.add_argument(
        "--crops", required=True, help="WxH,WxH: the pixels that are judged, then larger crops"
    )
    parser.add_argument("--every", type=int, default=1, help="take every so many images")
    parser.add_argument(
        "--confused", required=True, help="two classes: how often the first is taken for the second"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    network = load(arguments.model)
    found = resolve(arguments.data)
    data = SegmentationDataset(found, found.classes, Augmentation(resize=arguments.resize))
    first, second = (network.class_names.index(name) for name in arguments.confused.split(","))
    crops = [size(one) for one in arguments.crops.split(",")]
    names = arguments.confused.split(",")
    print(f"| seen | normalised by | mIoU | IoU of {names[0]} | {names[0]} taken for {names[1]} |")
    print("|---|---|---|---|---|")
    for how, counts in measure(network, data, crops, arguments.every).items():
        wrong = counts[first, second] / counts[first].sum()
        print(f"| {how} | {100 * miou(counts):.1f} | {100 * iou(counts)[first]:.1f} | {100 * wrong:.0f} % |")


if __name__ == "__main__":
    main()
