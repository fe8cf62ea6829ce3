"""Whose output is which class: a classifier's rows by the names of their classes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

_NAMELESS = re.compile(r"LABEL_\d+")


def labels_of(id2label: Any) -> list[str] | None:
    """The class names in a configuration of transformers, in order; None where it has none of its own."""
    if not isinstance(id2label, Mapping) or not id2label:
        return None
    names = [str(name) for _, name in sorted(id2label.items(), key=lambda item: int(item[0]))]
    return None if all(_NAMELESS.fullmatch(name) for name in names) else names


def spelled(name: str) -> str:
    """A class name without what is written in several ways: `Traffic_Light` is `traffic light`."""
    return re.sub(r"[\s_-]+", " ", name).strip().lower()


def fitted(
    classifier: nn.Conv2d, theirs: Sequence[str] | None, names: Sequence[str], std: float
) -> nn.Conv2d:
    """A classifier for `names`, with the rows of a trained one for the classes that it knows.

    Args:
        classifier: 1x1 convolution to its classes.
        theirs: their names; None where they have none, and then as many classes are the same ones in order.
        names: the classes that are wanted.
        std: of the normal distribution from which the rows of other classes are drawn; their biases are 0.

    Returns:
        `classifier` itself where it is for these classes already.
    """
    known = [spelled(name) for name in theirs] if theirs else []
    rows = [known.index(spelled(name)) if spelled(name) in known else None for name in names]
    same = rows == list(range(classifier.out_channels)) if theirs else len(names) == classifier.out_channels
    if same:
        return classifier
    made = nn.Conv2d(classifier.in_channels, len(names), kernel_size=1, bias=classifier.bias is not None)
    nn.init.normal_(made.weight, std=std)
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    with torch.no_grad():
        for new, old in zip(made.parameters(), classifier.parameters(), strict=True):
            for own, row in enumerate(rows):
                if row is not None:
                    new[own] = old[row]
    return made
