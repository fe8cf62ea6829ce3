"""`segshift import-weights`: checkpoints of the papers' public codes become model files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segshift.cli.arguments import parse_size
from segshift.cli.options import Json
from segshift.cli.output import print_json, results, working
from segshift.cli.outputs import file_option
from segshift.errors import InputError
from segshift.plain import say

if TYPE_CHECKING:
    from segshift.data.labels import ClassSet

_LAYOUTS = "adaptsegnet, advent, clan or fada"
# Of the street sets, how many classes the papers train on.
_BY_COUNT = {"19": "cityscapes19", "16": "cityscapes16", "13": "cityscapes13"}


def import_weights(
    file: Annotated[Path, typer.Argument(help="Checkpoint of the public code: .pth or .safetensors.")],
    layout: Annotated[str, typer.Option("--layout", help=f"The code it comes from: {_LAYOUTS}.")],
    out: Annotated[Path, file_option("--out", "Model file to write.")],
    classes: Annotated[str, typer.Option(help="19, 16, 13, or the name of a class set.")] = "19",
    input_size: Annotated[str, typer.Option(help="WxH at which the network sees images.")] = "1024x512",
    all_branches: Annotated[
        bool, typer.Option("--all-branches", help="AdaptSegNet forks that sum all four dilated branches.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Turn a public checkpoint into a model file for evaluate, predict and init_from, with the same logits.

    Example: segshift import-weights clan.pth --layout clan --classes 19 --out clan.safetensors
    """
    from segshift.models.public_checkpoints import LAYOUTS, import_checkpoint

    chosen = next((known for known in LAYOUTS if known == layout), None)
    if chosen is None:
        raise InputError(f"--layout {layout}: unknown; choose {_LAYOUTS}")
    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: model files end in .safetensors; write --out {out.stem}.safetensors")
    size = parse_size(input_size, "--input-size")
    named = parse_classes(classes)
    with working(f"importing {file}"):
        segmenter = import_checkpoint(file, chosen, named, all_branches=all_branches, input_size=size)
        segmenter.save(out)
    config = segmenter.config
    if as_json:
        print_json(
            {
                "model": str(out),
                "layout": chosen,
                "backbone": config.backbone,
                "class_set": segmenter.classes.name,
                "classes": list(segmenter.class_names),
                "classifiers": config.classifiers,
                "auxiliary_head": config.auxiliary_head,
                "head_dilations": list(config.head_dilations),
                "batch_norm": config.batch_norm,
                "input_size": list(size),
            }
        )
        return
    heads = "two summed classifiers" if config.classifiers == 2 else "one classifier"
    auxiliary = " and an auxiliary head" if config.auxiliary_head else ""
    dilations = ", ".join(map(str, config.head_dilations))
    network = f"{config.backbone}, {heads}{auxiliary} (dilations {dilations})"
    say(results, f"{out}: {network}, {segmenter.classes.listing()}")


def parse_classes(text: str) -> "ClassSet":
    """The class set of a name, or of the number of classes. Raises InputError."""
    from segshift.data.labels import class_set

    if text.isdecimal() and text not in _BY_COUNT:
        raise InputError(f"--classes {text}: no set of {text} classes; give 19, 16, 13 or a class set's name")
    return class_set(_BY_COUNT.get(text, text))
