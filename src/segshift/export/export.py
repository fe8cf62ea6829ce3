"""A trained network as files for other programs, each compared with the network before it is kept."""

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from segshift.data.sampling import evenly
from segshift.errors import InputError
from segshift.evaluation import EvaluationResult, Inference, evaluate, labelled_items
from segshift.export.card import card
from segshift.export.compare import Agreement, Answer, compare, network_answer
from segshift.export.origin import Origin, read_some
from segshift.export.programs import (
    NotCarriedError,
    onnx_library,
    write_onnx,
    write_torch_export,
    write_torchscript,
)
from segshift.export.quantize import write_int8
from segshift.export.settings import Exported, ExportedFile, ExportSettings, Format
from segshift.files import write_text
from segshift.folders import ExportFolder, write_summary
from segshift.models import Segmenter, load
from segshift.models.batch_norm import evaluating
from segshift.models.exported import ExportedSegmenter, load_program
from segshift.models.hub import CARD_FILE, CONFIG_FILE, description
from segshift.models.program import Precision, Program, ProgramMetadata
from segshift.models.segmenter_metadata import SegmenterMetadata
from segshift.sizes import WidthHeight

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


def export(model: str | Path, folder: Path, settings: ExportSettings, say: Say = lambda _: None) -> Exported:
    """Write a trained network for other programs, with a model card beside it.

    The files are kept only if each gives the network's classes on real images, in its own runtime: all of
    them take the place of an earlier export, or none is left behind.

    Args:
        model: a run folder, a model file or RUN@STEP.
        folder: of the files; missing, empty or of an earlier export.
        settings: see `ExportSettings`.
        say: is told what is being done.

    Raises:
        InputError: a network that the format cannot hold, images that cannot be had, or a file that does not
            agree with the network, or a folder that holds other files.
    """
    wanted = list(settings.files())
    place = ExportFolder(folder)
    place.check()
    if "onnx" in settings.formats:
        onnx_library()
    say(f"reading {model}")
    network = load(model)
    if isinstance(network, ExportedSegmenter):
        raise InputError(f"{model}: is exported already; give the run folder that it was made of")
    origin = Origin(model)
    size = _size(settings, network)
    work = _Work(network, origin, size, settings, say)
    scores, scored_on = work.score(network)
    done = Exported(folder, size, scores, scored_on, tuple(_notes(origin, size)))
    with place.replaced() as new:
        for chosen, precision in wanted:
            written = work.write(new, chosen, precision)
            done.files.append(replace(written, path=folder / written.path.name))
        write_text(new / CARD_FILE, card(network, origin, done))
        write_summary(new, done.to_dict())
    return done


class _Work:
    """What the files of one export share."""

    def __init__(
        self,
        network: Segmenter,
        origin: Origin,
        size: WidthHeight | None,
        settings: ExportSettings,
        say: Say,
    ) -> None:
        self.network, self.origin, self.size = network, origin, size
        self.settings, self.say = settings, say
        self.images = read_some(origin.unlabelled(settings.images), settings.compared)
        self.split = origin.labelled(settings.data) if settings.scored else None

    def write(self, folder: Path, chosen: Format, precision: Precision) -> ExportedFile:
        """One file in a folder, compared and scored."""
        kind = _KINDS[chosen]
        name = f"model{'' if precision == 'fp32' else f'_{precision}'}.{kind.suffix}"
        path = folder / name
        self.say(f"writing {name}")
        try:
            exported, agreement = self._compared(chosen, precision, path)
        except NotCarriedError as error:
            raise InputError(f"{error}; {self._way_out(chosen, folder)}") from None
        if kind.write is None:
            write_text(folder / CONFIG_FILE, json.dumps(description(self.network), indent=2) + "\n")
        result, _ = self.score(exported, name)
        megabytes = path.stat().st_size / 1e6
        return ExportedFile(path, chosen, precision, megabytes, agreement, result)

    def _compared(self, chosen: Format, precision: Precision, path: Path) -> tuple[Segmenter, Agreement]:
        """Write a file, and ask it and the network. Raises NotCarriedError if it cannot take its place."""
        self._write(chosen, precision, path)
        kind = _KINDS[chosen]
        exported = load_program(path) if kind.write else Segmenter.load(path, trust_code=True)
        self.say(f"comparing {path.name} with the network")
        with evaluating(self.network):
            of_network = network_answer(self.network, self.size)
            agreement = compare(_answer(exported, self.size), of_network, self.images)
        agreement.check(path.name, precision, self.settings.least_agreement)
        return exported, agreement

    def _way_out(self, failed: Format, folder: Path) -> str:
        """What to do about a network that a format cannot hold: the others are tried."""
        working = []
        for other in _KINDS:
            if other == failed:
                continue
            self.say(f"trying {other}")
            with suppress(InputError):
                self._compared(other, "fp32", folder / f"tried.{_KINDS[other].suffix}")
                working.append(other)
        others = (
            f"use --format {','.join(working)}, which can hold it" if working else "no format can hold it"
        )
        if self.size is not None:
            return others
        return f"{others}, or give one size with --size WxH, at which every image is then seen"

    def _write(self, chosen: Format, precision: Precision, path: Path) -> None:
        write = _KINDS[chosen].write
        if write is None:
            _write_weights(self.network, precision, path)
        elif precision == "int8":
            images = read_some(self.origin.unlabelled(self.settings.images), self.settings.calibration)
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
        try:
            labels, _, logits = program(image)
        except InputError as error:
            raise NotCarriedError(str(error)) from None
        return labels, logits

    return answer


def _write_weights(network: Segmenter, precision: Precision, path: Path) -> None:
    if precision == "fp32":
        network.save(path)
        return
    half = Program(network, half=True).segmenter
    if network.auxiliary_head is not None:  # programs have none
        half.auxiliary_head = copy.deepcopy(network.auxiliary_head).half()
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
