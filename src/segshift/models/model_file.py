"""Model files: tensors and one JSON document in a safetensors file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from segshift.documents import MOST_BYTES, parse_json
from segshift.errors import InputError
from segshift.files import atomic_path, unwritable
from segshift.folders import MODEL_FILE
from segshift.models.weights import check_values, described
from segshift.version import __version__

_METADATA_KEY = "segshift"


def write_model(path: str | Path, tensors: Mapping[str, Tensor], metadata: str) -> None:
    """Write tensors and a JSON document; equal content gives equal files. Raises OutputError."""
    copies = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    seen: set[int] = set()
    for key, value in copies.items():
        # Some networks use one tensor under several names (CoaT); safetensors wants each to stand for itself.
        if value.untyped_storage().data_ptr() in seen:
            copies[key] = value.clone()
        seen.add(value.untyped_storage().data_ptr())
    with atomic_path(path) as temporary:
        try:
            # One key only: safetensors writes several in random order, but equal models shall be equal files.
            save_file(copies, temporary, {_METADATA_KEY: metadata})
        except SafetensorError as error:  # a full disk
            raise unwritable(path, str(error)) from None


def fill(module: nn.Module, tensors: Mapping[str, Tensor], file: Path, version: str, remedy: str) -> None:
    """Load a model file's tensors into the module that its configuration made.

    Args:
        module: gets the tensors. On the device "meta" it only says whether they fit, and takes no memory:
            a foreign configuration may describe a network of gigabytes.
        tensors: by parameter name.
        file: where they come from, for the message, as are `version`, which wrote it, and `remedy`.

    Raises:
        InputError: names, shapes or kinds of numbers that do not fit, or NaN or infinity among them.
    """
    own = module.state_dict()
    shared = {key: value for key, value in tensors.items() if key in own}
    problems = described(
        missing=[key for key in own if key not in tensors],
        surplus=[key for key in tensors if key not in own],
        unequal=[key for key, value in shared.items() if value.shape != own[key].shape],
    )
    if problems:
        raise InputError(
            f"{file}: its tensors do not fit its configuration ({problems}); it was written by "
            f"segshift {version}, this is {__version__}: {remedy}"
        )
    if not any(value.is_meta for value in own.values()):
        check_values(tensors, own, str(file))
        module.load_state_dict(tensors)


def read_model(file: Path) -> tuple[Any, dict[str, Tensor]]:
    """The JSON document and the tensors of a file made by `write_model`.

    Raises:
        InputError: a missing, broken or foreign file.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file; give a model file or a run folder that holds {MODEL_FILE}")
    try:
        with safe_open(file, framework="pt", device="cpu") as stream:
            text = (stream.metadata() or {}).get(_METADATA_KEY)
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError):
        raise InputError(f"{file}: not a complete safetensors file; train or export it again") from None
    if text is None:
        raise InputError(f"{file}: holds no segshift configuration; give a file written by segshift")
    try:
        if len(text) > MOST_BYTES:
            raise InputError("the configuration is too long")
        data = parse_json(text, "the configuration")
    except InputError:
        raise InputError(f"{file}: its segshift configuration is broken; export the model again") from None
    return data, tensors
