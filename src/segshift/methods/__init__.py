"""Training methods. `METHODS` and `TERMS` are all there are; a new one is a file and a line here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

from segshift.config import did_you_mean, parse
from segshift.errors import InputError
from segshift.external import external_class
from segshift.methods.adabn import AdaBN, AdaBNTerm
from segshift.methods.adversarial import AdvEnt, FeatureAlignment, OutputAlignment
from segshift.methods.align import Align
from segshift.methods.balanced_self_training import BalancedSelfTraining
from segshift.methods.base import Batch, LabelledImages, Method, Update
from segshift.methods.clan import Clan
from segshift.methods.class_contrast import ClassContrast
from segshift.methods.class_shares import ClassShares
from segshift.methods.confidence_regularization import ConfidenceRegularization, LabelRegularization
from segshift.methods.cyclegan import CycleGAN
from segshift.methods.fada import FADA
from segshift.methods.feature_distance import FeatureDistance
from segshift.methods.local_alignment import LocalAlignment
from segshift.methods.lsd import LSD
from segshift.methods.masked_consistency import MaskedConsistency
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
    "balanced_self_training": BalancedSelfTraining,
    "clan": Clan,
    "class_contrast": ClassContrast,
    "class_shares": ClassShares,
    "confidence_regularization": ConfidenceRegularization,
    "fada": FADA,
    "feature_alignment": FeatureAlignment,
    "feature_distance": FeatureDistance,
    "label_regularization": LabelRegularization,
    "local_alignment": LocalAlignment,
    "masked_consistency": MaskedConsistency,
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


@dataclass(frozen=True)
class MethodSettings:
    """A recipe's `method:` section, understood to its end.

    Attributes:
        method: the class.
        settings: an object of its `Config`.
        terms: of `align`: each term's class with an object of its `Config`.
        where: the section's place, for messages.
    """

    method: type[Method]
    settings: Any
    terms: tuple[tuple[type[Term], Any], ...]
    where: str = "method"

    @property
    def needs_segmenter(self) -> bool:
        """Whether the method is built around a segmenter."""
        return self.method.needs_segmenter(self.settings)

    def with_defaults(self) -> dict[str, Any]:
        """The section with every default of the method and of its terms filled in."""
        filled: dict[str, Any] = self.settings.model_dump(mode="json")
        terms = [settings.model_dump(mode="json") for _, settings in self.terms]
        return {**filled, "terms": terms} if issubclass(self.method, Align) else filled

    def check_heads(self, auxiliary: bool, where: str) -> None:
        """Raise InputError for a term that works on an auxiliary head where the network has none."""
        for i, (_, settings) in enumerate(self.terms):
            if getattr(settings, "level", "main") == "auxiliary" and not auxiliary:
                raise InputError(
                    f"{where}.terms.{i}.level = 'auxiliary': the network has no auxiliary head; set "
                    "model.auxiliary_head: true"
                )

    def build(self, segmenter: Segmenter | None) -> Method:
        """The method around `segmenter`, which may be None only where none is needed.

        Raises:
            InputError: a segmenter that lacks what the method or a term works on.
        """
        if segmenter is None and self.needs_segmenter:
            raise ValueError(f"{self.where}: {self.method.__name__} needs a segmenter")
        build: Any = self.method  # a subclass's constructor; the base class has torch's
        if not issubclass(self.method, Align):
            built: Method = build(self.settings, segmenter)
            return built
        assert segmenter is not None
        self.check_heads(segmenter.auxiliary_head is not None, self.where)
        terms = []
        for i, (term, settings) in enumerate(self.terms):
            try:
                terms.append(term(settings, segmenter))
            except InputError as error:  # a network that lacks what the term works on
                raise InputError(f"{self.where}.terms.{i}, {settings.term}: {error}") from None
        aligned: Method = build(self.settings, segmenter, terms)
        return aligned


def parse_method(config: Mapping[str, Any], where: str = "method") -> MethodSettings:
    """A recipe's `method:` section as settings of the method and its terms.

    Args:
        config: the section; `name` is a key of `METHODS` or `FILE.py:CLASS`.
        where: the section's place, for messages.

    Raises:
        InputError: an unknown method or term, or a bad key or value in its configuration.
    """
    method = method_class(config.get("name", "align"), where)
    settings: Any = parse(method.Config, config, where)
    terms: list[tuple[type[Term], Any]] = []
    for i, section in enumerate(settings.terms if issubclass(method, Align) else []):
        term = term_class(section.get("term"), f"{where}.terms.{i}.term")
        terms.append((term, parse(term.Config, section, f"{where}.terms.{i}")))
    return MethodSettings(method, settings, tuple(terms), where)


def build_method(config: Mapping[str, Any], segmenter: Segmenter | None, where: str = "method") -> Method:
    """The method that a recipe's `method:` section describes, around `segmenter`.

    Raises InputError and takes its arguments as `parse_method` and `MethodSettings.build` do.
    """
    return parse_method(config, where).build(segmenter)


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
    "MethodSettings",
    "Network",
    "Prediction",
    "Role",
    "Term",
    "TermConfig",
    "Update",
    "build_method",
    "method_class",
    "parse_method",
    "term_class",
]
