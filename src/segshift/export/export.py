"""A trained network as files for other programs, each compared with the network before it is kept."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from segshift.data.sampling import evenly
from segshift.errors import InputError
from segshift.evaluation import EvaluationResult, Inference, evaluate, labelled_items
from segshift.export.card import card
from segshift.export.compare import Agreement, Answer, compare, network_answer
from segshift.export.origin import Origin, spread
from segshift.export.programs import onnx_library, write_onnx, write_torch_export, write_torchscript
from segshift.export.quantize import write_int8
from segshift.files import atomic_path, write_json, write_text
from segshift.models import Segmenter, load
from segshift.models.batch_norm import evaluating
from segshift.models.exported import ExportedSegmenter, load_program
from segshift.models.hub import CONFIG_FILE, description
from segshift.models.inference_config import InputSize
from segshift.models.program import Precision, Program, ProgramMetadata
from segshift.models.segmenter_metadata import SegmenterMetadata
from segshift.sizes import WidthHeight

Format = Literal["onnx", "torch-export", "safetensors", "torchscript"]
CARD_FILE, SUMMARY_FILE = "README.md", "export.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class _Kind:
    """How one format is written; None for weights without a program."""

    suffix: str
    write: Callable[[Program, str, Path], None] | None


_KINDS: dict[Format, _Kind] = {
    "onnx": _Kind("onnx", write_onnx),
    "torch-export": _Kind("pt2", write_torch_export),
    "torchscript": _Kind("torchscript", write_torchscript),
    "safetensors": _Kind("safetensors", None),
}
FORMATS = tuple(_KINDS)


@dataclass(frozen=True)
class ExportSettings:
    """What is exported, and on which images it is judged.

    Attributes:
        formats: each is a file; int8 exists as ONNX alone.
        precisions: each of every format.
        size: (width, height) in px to which the program resizes images, or `native` for their own; None
            takes the network's `config.input_size`, which is the size that its run was evaluated at.
        images: unlabelled images to compare on and to calibrate int8 with: a folder or a dataset argument;
            None takes the run's target.
        data: labelled images to score on, a dataset argument; None takes what the run is evaluated on.
        compared: how many images are compared.
        calibration: how many int8 is calibrated on.
        scored: at most so many labelled images are scored; 0 for none.
        least_agreement: share of pixels that must get the network's class; None is the precision's own.
    """

    formats: tuple[Format, ...] = ("onnx",)
    precisions: tuple[Precision, ...] = ("fp32",)
    size: InputSize = None
    images: str | None = None
    data: str | None = None
    compared: int = 8
    calibration: int = 32
    scored: int = 50
    least_agreement: float | None = None

    def files(self) -> Iterator[tuple[Format, Precision]]:
        """What is written, in order. Raises InputError for a precision that no format has."""
        if "int8" in self.precisions and "onnx" not in self.formats:
            raise InputError("--precision int8: exists as ONNX alone; add --format onnx, or use fp16")
        for chosen in self.formats:
            for precision in self.precisions:
                if precision != "int8" or chosen == "onnx":
                    yield chosen, precision


@dataclass(frozen=True)
class ExportedFile:
    """One file that was written. `result` is its scores, None where there are no labels."""

    path: Path
    format: Format
    precision: Precision
    megabytes: float
    agreement: Agreement
    result: EvaluationResult | None = None


@dataclass(frozen=True)
class Exported:
    """What an export has written.

    Attributes:
        folder: of the files, with the model card and a summary.
        size: (width, height) in px at which the programs see images; None is the images' own size.
        result: the network's own scores on the same images; None where there are no labels.
        scored_on: those images in words; None likewise.
        notes: what the user has to know besides.
        files: what was written.
    """

    folder: Path
    size: WidthHeight | None
    result: EvaluationResult | None
    scored_on: str | None
    notes: tuple[str, ...] = ()
    files: list[ExportedFile] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: sizes in px, megabytes, milliseconds, shares and mIoU in [0, 1]."""
        return {
            "folder": str(self.folder),
            "input_size": None if self.size is None else list(self.size),
            "scored_on": self.scored_on,
            "network_miou": None if self.result is None else self.result.miou,
            "notes": list(self.notes),
            "files": [
                {
                    "file": file.path.name,
                    "format": file.format,
                    "precision": file.precision,
                    "megabytes": file.megabytes,
                    "miou": None if file.result is None else file.result.miou,
                    **vars(file.agreement),
                }
                for file in self.files
            ],
        }


def export(model: str | Path, folder: Path, settings: ExportSettings, say: Say = lambda _: None) -> Exported:
    """Write a trained network for other programs, with a model card beside it.

    A file is kept only if it gives the network's classes on real images, in its own runtime.

    Args:
        model: a run folder, a model file or RUN@STEP.
        folder: of the files.
        settings: see `ExportSettings`.
        say: is told what is being done.

    Raises:
        InputError: a network that the format cannot hold, images that cannot be had, or a file that does not
            agree with the network.
    """
    wanted = list(settings.files())
    if "onnx" in settings.formats:
        onnx_library()
    say(f"reading {model}")
    network = load(model)
    if isinstance(network, ExportedSegmenter):
        raise InputError(f"{model}: is exported already; give the run folder that it was made of")
    origin = Origin(model)
    size = _size(settings, network)
    work = _Work(network, origin, size, folder, settings, say)
    scores, scored_on = work.score(network)
    done = Exported(folder, size, scores, scored_on, tuple(_notes(origin, size)))
    for chosen, precision in wanted:
        done.files.append(work.write(chosen, precision))
    write_text(folder / CARD_FILE, card(network, origin, done))
    write_json(folder / SUMMARY_FILE, done.to_dict())
    return done


class _Work:
    """What the files of one export share."""

    def __init__(
        self,
        network: Segmenter,
        origin: Origin,
        size: WidthHeight | None,
        folder: Path,
        settings: ExportSettings,
        say: Say,
    ) -> None:
        self.network, self.origin, self.size, self.folder = network, origin, size, folder
        self.settings, self.say = settings, say
        self.images = spread(origin.unlabelled(settings.images), settings.compared)
        self.split = origin.labelled(settings.data) if settings.scored else None

    def write(self, chosen: Format, precision: Precision) -> ExportedFile:
        """One file, compared and scored."""
        kind = _KINDS[chosen]
        name = f"model{'' if precision == 'fp32' else f'_{precision}'}.{kind.suffix}"
        path = self.folder / name
        self.say(f"writing {path}")
        with atomic_path(path) as temporary:
            self._write(chosen, precision, temporary)
            exported = load_program(temporary) if kind.write else Segmenter.load(temporary, trust_code=True)
            self.say(f"comparing {name} with the network")
            with evaluating(self.network):
                of_network = network_answer(self.network, self.size)
                agreement = compare(_answer(exported, self.size), of_network, self.images)
            agreement.check(name, precision, self.settings.least_agreement)
        if kind.write is None:
            write_text(self.folder / CONFIG_FILE, json.dumps(description(self.network), indent=2) + "\n")
        result, _ = self.score(exported, name)
        megabytes = path.stat().st_size / 1e6
        return ExportedFile(path, chosen, precision, megabytes, agreement, result)

    def _write(self, chosen: Format, precision: Precision, path: Path) -> None:
        write = _KINDS[chosen].write
        if write is None:
            _write_weights(self.network, precision, path)
        elif precision == "int8":
            images = spread(self.origin.unlabelled(self.settings.images), self.settings.calibration)
            with _beside(path) as float_file:
                write(Program(self.network, self.size), self._metadata(precision), float_file)
                self.say(f"calibrating on {len(images)} images")
                write_int8(float_file, images, path)
        else:
            program = Program(self.network, self.size, half=precision == "fp16")
            write(program, self._metadata(precision), path)

    def _metadata(self, precision: Precision) -> str:
        network = self.network
        said = SegmenterMetadata.of(network.config, network.classes, network.pixel_statistics)
        whole = {**said.model_dump(), "program_size": self.size, "precision": precision}
        return ProgramMetadata.model_validate(whole).model_dump_json()

    def score(
        self, network: Segmenter, name: str = "the network"
    ) -> tuple[EvaluationResult | None, str | None]:
        """The scores of a network or program, and of what; (None, None) without labels."""
        if self.split is None:
            return None, None
        samples = self.split.samples
        some = tuple(samples[index] for index in evenly(len(samples), self.settings.scored))
        split = replace(self.split, samples=some)
        on = f"{split.dataset} {split.name}, {len(some)} of {len(samples)} images"
        items = labelled_items(split, self.network.classes)
        result = evaluate(
            network,
            items,
            Inference(input_size=self.size or "native", fit="stretch"),
            batch_size=1,
            progress=lambda done, total: self.say(f"scoring {name}: {done} of {total}"),
        )
        return result, on


def _answer(exported: Segmenter, size: WidthHeight | None) -> Answer:
    if not isinstance(exported, ExportedSegmenter):
        return network_answer(exported, size)
    program = exported.program

    def answer(image: Tensor) -> tuple[Tensor, Tensor]:
        labels, _, logits = program(image)
        return labels, logits

    return answer


def _write_weights(network: Segmenter, precision: Precision, path: Path) -> None:
    if precision == "fp32":
        network.save(path)
        return
    half = Program(network, half=True).segmenter
    half.save(path)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A file beside another, gone afterwards."""
    other = path.with_name(f"{path.name}.float{path.suffix}")
    try:
        yield other
    finally:
        other.unlink(missing_ok=True)


def _size(settings: ExportSettings, network: Segmenter) -> WidthHeight | None:
    """The size of the program, which gives every image the proportions of that size."""
    wanted = Inference(input_size=settings.size)
    size, fit = wanted.size_for(network), wanted.fit_for(network)
    if settings.size is None and size is not None and fit != "stretch":
        raise InputError(
            f"the network sees images at {_shown(size)} with fit: {fit}, which a program cannot do; choose "
            f"--size native, or --size {size[0]}x{size[1]} for images of those proportions"
        )
    return size


def _notes(origin: Origin, size: WidthHeight | None) -> Sequence[str]:
    """What the program does in another way than the run's evaluation."""
    recipe = origin.recipe
    if recipe is None:
        return ()
    own = recipe.inference
    differences = [
        *(["windows"] if own.window else []),
        *(["several scales"] if own.scales != (1.0,) else []),
        *(["mirrored images"] if own.flip else []),
    ]
    notes = []
    if differences:
        notes.append(
            f"the run was evaluated with {' and '.join(differences)}, which a program for one image does not "
            "do; export with --size native and give them to `segshift evaluate` or `predict`"
        )
    trained = recipe.inference_size()
    if trained != size:
        notes.append(f"the run was evaluated at {_shown(trained)}, this export is for {_shown(size)}")
    return notes


def _shown(size: WidthHeight | None) -> str:
    return "the images' own size" if size is None else f"{size[0]}x{size[1]} px"
