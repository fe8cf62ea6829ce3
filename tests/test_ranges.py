"""Every number that a user or a file may write has a range: found by walking through all settings classes."""

import importlib
import pkgutil
import typing
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError

import segshift
from segshift.config import Strict, parse
from segshift.engine.recipe import Recipe
from segshift.errors import InputError

# A label's ids are checked against the depth of its files, and the paper's numbers are only shown.
NO_RANGE = {("LabelRule", "map"), ("LabelRule", "ignore"), ("LabelMap", "classes"), ("LabelMap", "ignore")}
ONLY_SHOWN = {("Provenance", "reported"), ("_Published", "values")}
SIGNED = {
    *((model, "pixel_mean") for model in ("SegmenterMetadata", "ProgramMetadata")),
    ("MeasuredPair", "confidence_drop"),
    ("Gain", "mean"),
}
# Weights and rates may be as large as one likes; what diverges is stopped and said.
NONSENSE: list[float] = [float("nan"), float("inf"), float("-inf"), -1]


def subclasses(of: type[Any]) -> Iterator[type[Strict]]:
    for one in of.__subclasses__():
        yield one
        yield from subclasses(one)


def numbers_in(annotation: Any) -> Any:
    """The first of a field's types that is a number, a tuple, list or mapping of numbers; None if none is."""
    if annotation in (int, float):
        return annotation
    if typing.get_origin(annotation) is typing.Literal or annotation is bool:
        return None
    return next((found for part in typing.get_args(annotation) if (found := numbers_in(part))), None)


def filled(annotation: Any, value: float) -> Any:
    """A value of the annotation's shape with `value` for every number."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return filled(parts[0], value)
    if origin in (typing.Union, type(int | None)):
        return filled(next(part for part in parts if numbers_in(part)), value)
    if origin is tuple:
        return [filled(part, value) for part in parts if part is not ...]
    if origin is list:
        return [filled(parts[0], value)]
    if origin is dict:
        return {"x": filled(parts[1], value)}
    return value


@pytest.fixture(scope="module", autouse=True)
def _everything_is_imported() -> None:
    for module in pkgutil.walk_packages(segshift.__path__, "segshift."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def test_no_setting_takes_nonsense() -> None:
    taken, seen = [], 0
    for model in {one for one in subclasses(Strict) if one.__module__.startswith("segshift.")}:
        for name, field in model.model_fields.items():
            if not numbers_in(field.annotation) or (model.__name__, name) in NO_RANGE | ONLY_SHOWN:
                continue
            seen += 1
            # Of whole numbers, also one that would ask for more memory or time than there is.
            whole = numbers_in(field.annotation) is int
            annotation: Any = (
                Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
            )
            adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))
            for value in [*NONSENSE, *([10**20] if whole else [])]:
                if value == -1 and (model.__name__, name) in SIGNED:
                    continue
                try:
                    adapter.validate_python(filled(field.annotation, value))
                except ValidationError:
                    continue
                taken.append((model.__name__, name, value))
    assert seen > 80
    assert not taken, taken


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"optimizers": {"segmenter": {"betas": [0.9, 1.0]}}}, "optimizers.segmenter.betas.1"),
        ({"optimizers": {"segmenter": {"lr_multipliers": {"head": -1}}}}, "lr_multipliers.head"),
        ({"model": {"head_dilations": [0]}}, "model.head_dilations.0"),
        ({"model": {"input_size": [0, 5]}}, "model.input_size.0"),
        ({"evaluation": {"scales": [1000]}}, "evaluation.scales.0"),
        ({"evaluation": {"window": [64, -64]}}, "evaluation.window.1"),
        ({"source": {"augmentation": {"crop": [100_000, 1]}}}, "source.augmentation.crop.0"),
        ({"training": {"steps": 10**12}}, "training.steps"),
    ],
)
def test_the_key_is_named(data: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=f"{key}` = "):
        parse(Recipe, {"name": "x", **data}, "recipe.yaml")
