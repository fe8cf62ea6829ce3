"""`segshift import-weights`: networks of the papers' public codes and other libraries become model files."""

from segshift.cli.arguments import parse_size
from segshift.cli.commands.import_weights import ImportWeights
from segshift.cli.output import print_json, results, working
from segshift.data.labels import ClassSet, class_set
from segshift.errors import InputError
from segshift.files import expanded
from segshift.models.libraries.imported import LIBRARIES, import_network
from segshift.models.public_checkpoints import LAYOUTS, import_checkpoint
from segshift.models.segmenter import Segmenter
from segshift.terminal import say

_PAPERS_CLASSES, _PAPERS_SIZE = "19", "1024x512"
# Of the street sets, how many classes the papers train on.
_BY_COUNT = {"19": "cityscapes19", "16": "cityscapes16", "13": "cityscapes13"}


def import_weights(options: ImportWeights) -> None:
    """What `segshift import-weights` does."""
    out = options.out
    with working(f"importing {options.file}"):
        segmenter = _imported(options)
        segmenter.save(out)
    config = segmenter.config
    if options.as_json:
        print_json(
            {
                "model": str(out),
                "layout": options.layout,
                "backbone": config.title(),
                "class_set": segmenter.classes.name,
                "classes": list(segmenter.class_names),
                "classifiers": config.classifiers,
                "auxiliary_head": config.auxiliary_head,
                "head_dilations": list(config.head_dilations),
                "batch_norm": config.batch_norm,
                "input_size": list(config.input_size) if config.input_size else None,
            }
        )
        return
    network = config.title()
    if not config.is_foreign:
        heads = "two summed classifiers" if config.classifiers == 2 else "one classifier"
        auxiliary = " and an auxiliary head" if config.auxiliary_head else ""
        dilations = ", ".join(map(str, config.head_dilations))
        network = f"{network}, {heads}{auxiliary} (dilations {dilations})"
    say(results, f"{out}: {network}, {segmenter.classes.listing()}")


def _imported(options: ImportWeights) -> Segmenter:
    """The network in a file or folder. Raises InputError."""
    library = next((known for known in LIBRARIES if known == options.layout), None)
    paper = next((known for known in LAYOUTS if known == options.layout), None)
    classes = parse_classes(options.classes) if options.classes else None
    size = parse_size(options.input_size, "--input-size") if options.input_size else None
    if paper is not None:
        return import_checkpoint(
            options.file,
            paper,
            classes or parse_classes(_PAPERS_CLASSES),
            all_branches=options.all_branches,
            input_size=size or parse_size(_PAPERS_SIZE, "--input-size"),
        )
    assert library is not None  # the command has refused others
    return import_network(
        expanded(options.file),
        library,
        classes,
        architecture=options.architecture,
        encoder=options.encoder,
        input_size=size,
    )


def parse_classes(text: str) -> ClassSet:
    """The class set of a name, of names with commas, or of the number of classes. Raises InputError."""
    if "," in text:
        return class_set([name.strip() for name in text.split(",")])
    if text.isdecimal() and text not in _BY_COUNT:
        raise InputError(f"--classes {text}: no set of {text} classes; give 19, 16, 13 or a class set's name")
    return class_set(_BY_COUNT.get(text, text))
