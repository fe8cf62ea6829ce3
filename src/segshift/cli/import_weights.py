"""`segshift import-weights`: checkpoints of the papers' public codes become model files."""

from segshift.cli.arguments import parse_size
from segshift.cli.commands.import_weights import ImportWeights
from segshift.cli.output import print_json, results, working
from segshift.data.labels import ClassSet, class_set
from segshift.errors import InputError
from segshift.models.public_checkpoints import LAYOUTS, import_checkpoint
from segshift.plain import say

_LAYOUTS = "adaptsegnet, advent, clan or fada"
# Of the street sets, how many classes the papers train on.
_BY_COUNT = {"19": "cityscapes19", "16": "cityscapes16", "13": "cityscapes13"}


def import_weights(options: ImportWeights) -> None:
    """What `segshift import-weights` does."""
    chosen = next((known for known in LAYOUTS if known == options.layout), None)
    if chosen is None:
        raise InputError(f"--layout {options.layout}: unknown; choose {_LAYOUTS}")
    out = options.out
    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: model files end in .safetensors; write --out {out.stem}.safetensors")
    size = parse_size(options.input_size, "--input-size")
    named = parse_classes(options.classes)
    with working(f"importing {options.file}"):
        segmenter = import_checkpoint(
            options.file, chosen, named, all_branches=options.all_branches, input_size=size
        )
        segmenter.save(out)
    config = segmenter.config
    if options.as_json:
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


def parse_classes(text: str) -> ClassSet:
    """The class set of a name, or of the number of classes. Raises InputError."""
    if text.isdecimal() and text not in _BY_COUNT:
        raise InputError(f"--classes {text}: no set of {text} classes; give 19, 16, 13 or a class set's name")
    return class_set(_BY_COUNT.get(text, text))
