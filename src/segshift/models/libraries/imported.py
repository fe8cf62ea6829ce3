"""Trained networks of other libraries as model files, with their class names and pixel statistics."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from segshift.config import parse
from segshift.data.labels import ClassSet, class_set, class_set_names
from segshift.documents import read_json
from segshift.errors import InputError
from segshift.models.libraries.class_rows import labels_of, spelled
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_config import SegmenterConfig

Library = Literal["transformers", "smp"]
LIBRARIES: tuple[Library, ...] = get_args(Library)
_HUGGING_FACE = "ForSemanticSegmentation"
# Of smp's config.json, what is no setting of the architecture.
_NO_SETTINGS = {
    "_model_class", "activation", "aux_params", "classes", "encoder_name", "encoder_weights", "in_channels",
}  # fmt: skip


def import_network(
    path: Path,
    library: Library,
    classes: ClassSet | None = None,
    *,
    architecture: str | None = None,
    encoder: str | None = None,
    input_size: tuple[int, int] | None = None,
) -> Segmenter:
    """The network in a folder made by `save_pretrained`, or in a checkpoint of smp, with the same logits.

    Args:
        path: a folder of transformers (SegFormer, UperNet) or of segmentation-models-pytorch; or a file with
            a state dict of smp's.
        library: whose it is.
        classes: what its outputs are, in order; None takes the names in the folder (`id2label`).
        architecture: of a file of smp's, whose name is nowhere in it.
        encoder: likewise.
        input_size: (width, height) in px at which the network sees images; None keeps their own.

    Raises:
        InputError: no such folder, another network, no class names, another number of classes.
    """
    about = _about(path)
    if library == "transformers":
        architecture, settings, theirs = *_of_transformers(path, about), labels_of(about.get("id2label"))
    else:
        architecture = architecture or about.get("_model_class")
        encoder = encoder or about.get("encoder_name")
        settings, theirs = {k: v for k, v in about.items() if k not in _NO_SETTINGS}, None
        if architecture is None or encoder is None:
            raise InputError(
                f"{path}: does not say which network it is; give --architecture and --encoder, or a folder "
                "made by save_pretrained"
            )
    count = about.get("classes") if library == "smp" else len(about.get("id2label") or ())
    own = _classes(path, theirs, classes, count)
    data: dict[str, Any] = {
        "library": library,
        "architecture": architecture,
        "weights": str(path),
        "settings": settings,
        "input_size": input_size,
    } | ({"encoder": encoder} if encoder else {})
    # Built with the names of the folder, so that each output stays what it is, then called as was asked for.
    built = Segmenter(parse(SegmenterConfig, data, str(path)), _named(path, theirs) if theirs else own)
    built.classes = own
    built.config = built.config.model_copy(update={"weights": "none"})
    return built.eval()


def _about(path: Path) -> Mapping[str, Any]:
    """The config.json of a folder; nothing for a file."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give a checkpoint or what save_pretrained wrote")
    if path.is_file():
        return {}
    if not (path / "config.json").is_file():
        raise InputError(f"{path}: holds no config.json, so it is no folder made by save_pretrained")
    data = read_json(path / "config.json")
    return data if isinstance(data, dict) else {}


def _of_transformers(path: Path, about: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The architecture in a folder; its settings are read from the folder itself."""
    names = about.get("architectures") or ["none"]
    if not str(names[0]).endswith(_HUGGING_FACE):
        raise InputError(
            f"{path}: holds {names[0]}, not a network of transformers that ends in {_HUGGING_FACE}; an "
            "encoder alone can be a recipe's model.weights"
        )
    return str(names[0]).removesuffix(_HUGGING_FACE), {}


def _classes(path: Path, theirs: Sequence[str] | None, given: ClassSet | None, count: int | None) -> ClassSet:
    if given is None and theirs is None:
        raise InputError(f"{path}: names no classes; give --classes, a class set or names in order: sky,road")
    if given is None:
        return _named(path, theirs or ())
    if count and count != given.count:
        raise InputError(f"{path}: has {count} classes, {given.listing()} {given.count}; correct --classes")
    return given


def _named(path: Path, names: Sequence[str]) -> ClassSet:
    """The built-in set of these names however they are written, else a set named after the folder."""
    for known in class_set_names():
        if [spelled(name) for name in class_set(known).names] == [spelled(name) for name in names]:
            return class_set(known)
    return class_set(list(names), name=path.resolve().name)
