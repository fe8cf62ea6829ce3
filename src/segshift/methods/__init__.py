"""Training methods. `METHODS` and `TERMS` are all there are; a new one is a file and a line here."""

from typing import Any

from segshift.config import did_you_mean, parse
from segshift.errors import InputError
from segshift.methods.adabn import AdaBN, AdaBNTerm
from segshift.methods.adversarial import AdvEnt, FeatureAlignment, OutputAlignment
from segshift.methods.align import Align, AlignConfig
from segshift.methods.base import Batch, Method, Update
from segshift.methods.mean_teacher import MeanTeacher
from segshift.methods.minent import MinEnt
from segshift.methods.term import Look, Prediction, Term, TermConfig
from segshift.models.segmenter import Segmenter

METHODS: dict[str, type[Method]] = {"align": Align, "adabn": AdaBN}
TERMS: dict[str, type[Term]] = {
    "adabn": AdaBNTerm,
    "advent": AdvEnt,
    "feature_alignment": FeatureAlignment,
    "mean_teacher": MeanTeacher,
    "minent": MinEnt,
    "output_alignment": OutputAlignment,
}


def build_method(config: dict[str, Any], segmenter: Segmenter, where: str = "method") -> Method:
    """The method that a recipe's `method:` section describes, around `segmenter`.

    Raises:
        InputError: an unknown method or term, or a bad key or value in its configuration.
    """
    name = config.get("name", "align")
    if name not in METHODS:
        raise InputError(f"{where}.name = {name!r}: unknown method{did_you_mean(str(name), list(METHODS))}")
    if name == "align":
        settings = parse(AlignConfig, config, where)
        terms = [_build_term(t, segmenter, f"{where}.terms.{i}") for i, t in enumerate(settings.terms)]
        return Align(settings, segmenter, terms)
    method = METHODS[name]
    return method(parse(method.Config, config, where), segmenter)


def _build_term(config: dict[str, Any], segmenter: Segmenter, where: str) -> Term:
    name = config.get("term")
    if name not in TERMS:
        raise InputError(f"{where}.term = {name!r}: unknown term{did_you_mean(str(name), list(TERMS))}")
    term = TERMS[name]
    settings = parse(term.Config, config, where)
    if getattr(settings, "level", "main") == "auxiliary" and segmenter.auxiliary_head is None:
        raise InputError(
            f"{where}.level = 'auxiliary': the network has no auxiliary head; set model.auxiliary_head: true"
        )
    return term(settings, segmenter)


__all__ = [
    "METHODS",
    "TERMS",
    "Align",
    "Batch",
    "Look",
    "Method",
    "Prediction",
    "Term",
    "TermConfig",
    "Update",
    "build_method",
]
