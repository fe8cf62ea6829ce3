"""Training methods. `METHODS` and `TERMS` are all there are; a new one is a file and a line here."""

from typing import Any, TypeVar

from torch import nn

from segshift.config import did_you_mean, parse
from segshift.errors import InputError
from segshift.methods.adabn import AdaBN, AdaBNTerm
from segshift.methods.adversarial import AdvEnt, FeatureAlignment, OutputAlignment
from segshift.methods.align import Align
from segshift.methods.base import Batch, LabelledImages, Method, Update
from segshift.methods.clan import Clan
from segshift.methods.confidence_regularization import ConfidenceRegularization, LabelRegularization
from segshift.methods.cyclegan import CycleGAN
from segshift.methods.external import external_class
from segshift.methods.fada import FADA
from segshift.methods.local_alignment import LocalAlignment
from segshift.methods.lsd import LSD
from segshift.methods.mean_teacher import MeanTeacher
from segshift.methods.minent import MinEnt
from segshift.methods.patch import PatchAlignment
from segshift.methods.roles import Network, Role
from segshift.methods.screened_self_training import ScreenedSelfTraining
from segshift.methods.term import Look, Prediction, Term, TermConfig
from segshift.models.segmenter import Segmenter

Kind = TypeVar("Kind", bound=nn.Module)

METHODS: dict[str, type[Method]] = {"align": Align, "adabn": AdaBN, "cyclegan": CycleGAN, "lsd": LSD}
TERMS: dict[str, type[Term]] = {
    "adabn": AdaBNTerm,
    "advent": AdvEnt,
    "clan": Clan,
    "confidence_regularization": ConfidenceRegularization,
    "fada": FADA,
    "feature_alignment": FeatureAlignment,
    "label_regularization": LabelRegularization,
    "local_alignment": LocalAlignment,
    "mean_teacher": MeanTeacher,
    "minent": MinEnt,
    "output_alignment": OutputAlignment,
    "screened_self_training": ScreenedSelfTraining,
    "patch": PatchAlignment,
}


def method_class(name: Any, where: str = "method") -> type[Method]:
    """The method of a name in `METHODS`, or of a user's own `FILE.py:CLASS`. Raises InputError."""
    return _find(name, METHODS, Method, f"{where}.name", "method")


def term_class(name: Any, where: str = "term") -> type[Term]:
    """The term of a name in `TERMS`, or of a user's own `FILE.py:CLASS`. Raises InputError."""
    return _find(name, TERMS, Term, where, "term")


def build_method(config: dict[str, Any], segmenter: Segmenter | None, where: str = "method") -> Method:
    """The method that a recipe's `method:` section describes, around `segmenter`.

    Args:
        config: the section; `name` is a key of `METHODS` or `FILE.py:CLASS`.
        segmenter: what it trains; None only where `Method.needs_segmenter` says so.
        where: the section's place, for messages.

    Raises:
        InputError: an unknown method or term, or a bad key or value in its configuration.
    """
    method = method_class(config.get("name", "align"), where)
    settings: Any = parse(method.Config, config, where)
    if segmenter is None and method.needs_segmenter(settings):
        raise ValueError(f"{where}: {method.__name__} needs a segmenter")
    build: Any = method  # a subclass's constructor; the base class has torch's
    if not issubclass(method, Align):
        built: Method = build(settings, segmenter)
        return built
    assert segmenter is not None
    terms = [_build_term(t, segmenter, f"{where}.terms.{i}") for i, t in enumerate(settings.terms)]
    aligned: Method = build(settings, segmenter, terms)
    return aligned


def needs_segmenter(config: dict[str, Any], where: str = "method") -> bool:
    """Whether the method that `config` describes is built around a segmenter. Raises InputError."""
    method = method_class(config.get("name", "align"), where)
    return method.needs_segmenter(parse(method.Config, config, where))


def with_defaults(config: dict[str, Any], where: str = "method") -> dict[str, Any]:
    """A recipe's `method:` section with every default of the method and of its terms filled in.

    Raises:
        InputError: as `build_method`, apart from what concerns the network.
    """
    method = method_class(config.get("name", "align"), where)
    filled: dict[str, Any] = parse(method.Config, config, where).model_dump(mode="json")
    if issubclass(method, Align):
        filled["terms"] = [
            parse(
                term_class(term.get("term"), f"{where}.terms.{i}.term").Config, term, f"{where}.terms.{i}"
            ).model_dump(mode="json")
            for i, term in enumerate(filled["terms"])
        ]
    return filled


def _build_term(config: dict[str, Any], segmenter: Segmenter, where: str) -> Term:
    term = term_class(config.get("term"), f"{where}.term")
    settings: Any = parse(term.Config, config, where)
    if getattr(settings, "level", "main") == "auxiliary" and segmenter.auxiliary_head is None:
        raise InputError(
            f"{where}.level = 'auxiliary': the network has no auxiliary head; set model.auxiliary_head: true"
        )
    return term(settings, segmenter)


def _find(name: Any, known: dict[str, type[Kind]], base: type[Kind], where: str, noun: str) -> type[Kind]:
    if isinstance(name, str) and ".py:" in name:
        return external_class(name, base, where)
    if not isinstance(name, str) or name not in known:
        raise InputError(f"{where} = {name!r}: unknown {noun}{did_you_mean(str(name), list(known))}")
    return known[name]


__all__ = [
    "METHODS",
    "TERMS",
    "Align",
    "Batch",
    "LabelledImages",
    "Look",
    "Method",
    "Network",
    "Prediction",
    "Role",
    "Term",
    "TermConfig",
    "Update",
    "build_method",
    "method_class",
    "needs_segmenter",
    "term_class",
    "with_defaults",
]
