"""Networks without weights, to know before anything trains what they are made of and what they start from."""

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor

from segshift.data.labels import ClassSet
from segshift.engine.recipe import Recipe
from segshift.errors import InputError
from segshift.methods import MethodSettings
from segshift.models.segmenter import Segmenter
from segshift.models.segmenter_config import SegmenterConfig

# Parts that a start may lack; the first one it may also have for nothing.
_OPTIONAL = ("auxiliary_head.", "second_head.", "multi_resolution.")
# Model files have whole weights, without what LoRA adds.
_BARE = {"weights": "none", "backbone_training": "all"}
_TINY = {"backbone": "segshift_tiny", "weights": "none", "head": "deeplab_v2", "output_stride": 8}


def network_names(recipe: Recipe, method: MethodSettings) -> list[str] | None:
    """The names of the method's networks; None if it cannot be made here."""
    try:
        with torch.device("meta"):
            segmenter = _hollow(recipe.model.model_copy(update=_TINY))
            return list(method.build(segmenter if method.needs_segmenter else None).networks())
    except Exception:  # a method of the user's own, or files of an earlier stage that are not there yet
        return None


def model_fault(model: SegmenterConfig) -> str:
    """Why no network can be made of a `model:` section; empty if one can, or if nobody knows yet."""
    return "" if model.is_foreign else _fault_of(model.model_dump_json())


@lru_cache(maxsize=64)  # stages, arms and sweeps name the same networks again
def _fault_of(model: str) -> str:
    settings = SegmenterConfig.model_validate_json(model)
    try:
        with torch.device("meta"):
            _hollow(settings.model_copy(update={"weights": "none"}))
    except InputError as error:
        # What is not installed here may be where the recipe runs.
        return "" if isinstance(error.__context__, ImportError) else str(error)
    return ""


def start_misfit(start: SegmenterConfig, own: SegmenterConfig) -> str:
    """Why a model of `start` cannot be the start of `own`'s; empty if it can, or if nobody knows yet."""
    if start == own:
        return ""
    try:
        with torch.device("meta"):
            weights, wanted = (_hollow(each.model_copy(update=_BARE)).state_dict() for each in (start, own))
    except Exception:  # a network of the user's own, or one that is not installed
        return ""
    return misfit(weights, wanted)


def misfit(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """What keeps the weights of a start from a network, in words; empty if they fit.

    A network that wants an auxiliary or second head, or HRDA's attention, which the start lacks gets a new
    one; everything else must fit. A start with two summed classifiers for a network with one does not.
    """
    missing = [key for key in wanted if key not in weights and not key.startswith(_OPTIONAL)]
    surplus = [key for key in weights if key not in wanted and not key.startswith(_OPTIONAL[0])]
    unequal = [key for key in weights if key in wanted and weights[key].shape != wanted[key].shape]
    if not (missing or surplus or unequal):
        return ""
    return f"{len(missing)} parameters missing, {len(surplus)} too many, {len(unequal)} of another shape"


def _hollow(settings: SegmenterConfig) -> Segmenter:
    return Segmenter(settings, ClassSet("two", ("one", "other"), ((0, 0, 0), (255, 255, 255))))
