"""Networks on the Hugging Face hub, and in folders of its form: weights, `config.json`, a model card."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from segshift.errors import InputError
from segshift.files import expanded, write_json, write_text
from segshift.folders import MODEL_FILE
from segshift.models.segmenter_metadata import SegmenterMetadata

if TYPE_CHECKING:
    from segshift.models.segmenter import Segmenter

CONFIG_FILE, CARD_FILE = "config.json", "README.md"
LIBRARY = "segshift"
# How the hub's pages and filters know such a model.
FRONT_MATTER = f"---\nlibrary_name: {LIBRARY}\npipeline_tag: image-segmentation\n"


def description(segmenter: "Segmenter") -> dict[str, Any]:
    """The contents of `config.json`: what the model file's metadata says, under the hub's names."""
    metadata = SegmenterMetadata.of(segmenter.config, segmenter.classes, segmenter.pixel_statistics)
    labels = {str(number): name for number, name in enumerate(segmenter.class_names)}
    return {
        "library_name": LIBRARY,
        "id2label": labels,
        "label2id": {name: int(number) for number, name in labels.items()},
        **metadata.model_dump(mode="json"),
    }


class HubModel:
    """What a segmenter can do with the hub. Its file `model.safetensors` is the same as anywhere."""

    if TYPE_CHECKING:
        # Of the segmenter.
        def save(self, path: str | Path) -> None: ...
        @classmethod
        def load(cls, path: str | Path, device: Any = ..., trust_code: bool = ...) -> Any: ...

    def save_pretrained(self: Any, folder: str | Path, card: str | None = None) -> None:
        """Write a folder of the hub's form: `model.safetensors`, `config.json`, `README.md`.

        Args:
            folder: made if it is not there.
            card: the model card; None writes a short one where there is none. `segshift export` writes a
                whole one.

        Raises:
            errors.OutputError: the folder cannot be written.
        """
        folder = expanded(folder)
        self.save(folder / MODEL_FILE)
        write_json(folder / CONFIG_FILE, description(self))
        if card is None and (folder / CARD_FILE).exists():
            return
        names = ", ".join(self.class_names)
        short = f"{FRONT_MATTER}---\n\n# {self.config.title()}\n\nClasses: {names}.\n\n{USE}"
        write_text(folder / CARD_FILE, card or short)

    def push_to_hub(
        self: Any,
        repository: str,
        *,
        card: str | None = None,
        private: bool | None = None,
        token: str | None = None,
        message: str = "Upload a segshift model",
    ) -> str:
        """Upload the network as `OWNER/NAME`, made if it is not there.

        Args:
            repository: OWNER/NAME.
            card: see `save_pretrained`.
            private: whether a new repository is; None is the owner's default.
            token: of the hub; None takes that of `hf auth login` or of HF_TOKEN.
            message: of the commit.

        Returns:
            The address of the commit.

        Raises:
            InputError: the hub refuses, or cannot be reached.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, card)
            return upload(Path(folder), repository, private=private, token=token, message=message)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        device: str | torch.device = "cpu",
        trust_code: bool = False,
    ) -> Any:
        """The network in a folder of `save_pretrained`, or on the hub, in evaluation mode.

        Args:
            model: a folder, or OWNER/NAME on the hub (downloaded once, then kept in its cache).
            revision: branch, tag or commit on the hub.
            token: for private repositories; see `push_to_hub`.
            device: see `Segmenter.load`, as is `trust_code`.

        Raises:
            InputError: neither is there, or it holds no network of segshift.
        """
        folder = expanded(model)
        if not folder.is_dir():
            folder = _downloaded(str(model), revision, token)
        return cls.load(folder, device, trust_code)


USE = """```python
import segshift

segmenter = segshift.Segmenter.from_pretrained("OWNER/NAME")
labels = segmenter.predict("photo.jpg")  # (H, W) uint8 train ids
```
"""


def upload(
    folder: Path, repository: str, *, private: bool | None = None, token: str | None = None, message: str
) -> str:
    """Upload a folder; see `HubModel.push_to_hub`."""
    from huggingface_hub import HfApi

    hub = HfApi(token=token, library_name=LIBRARY)
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        commit = hub.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
    # Its own errors, and those of its HTTP library, which change between versions.
    except Exception as error:
        raise InputError(f"{repository}: cannot be uploaded ({_reason(error)}); {_LOGIN}") from None
    return str(commit.commit_url)


def _downloaded(repository: str, revision: str | None, token: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        files = [MODEL_FILE, CONFIG_FILE]
        found = snapshot_download(repository, revision=revision, token=token, allow_patterns=files)
    except Exception as error:
        raise InputError(
            f"{repository}: is no folder, and cannot be had from the hub ({_reason(error)}); give a folder "
            f"of save_pretrained or OWNER/NAME; {_LOGIN}"
        ) from None
    return Path(found)


_LOGIN = "private models need `hf auth login`"


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0].strip(" .")[:150] if text else type(error).__name__
