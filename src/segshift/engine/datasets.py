"""Which images a recipe trains and is judged on."""

from dataclasses import dataclass

from segshift.data.labels import ClassSet
from segshift.data.resolve import agree, resolve
from segshift.data.spec import Split
from segshift.engine.recipe import Recipe
from segshift.errors import InputError


@dataclass(frozen=True)
class Domains:
    """The resolved data of a run.

    Attributes:
        source: labelled training images (an oracle's are the target's).
        target: training images whose labels are never opened; None if the recipe names none.
        evaluation: a labelled split, or None when the target has no labels.
        classes: what the network predicts.
    """

    source: Split
    target: Split | None
    evaluation: Split | None
    classes: ClassSet

    def describe(self, which: str) -> str | None:
        """Dataset, split and number of images in words."""
        split: Split | None = getattr(self, which)
        return None if split is None else f"{split.dataset} {split.name} ({len(split.samples)} images)"


def resolve_domains(recipe: Recipe) -> Domains:
    """Find the images of a recipe.

    Raises:
        InputError: no source, an oracle or method without a target, unequal classes without `classes:`.
    """
    if recipe.source.dataset is None:
        raise InputError(f"{recipe.name}: no source images; give --source or set source.dataset")
    source = resolve(recipe.source.dataset, recipe.source.split)
    target = None if recipe.target.dataset is None else resolve(recipe.target.dataset, recipe.target.split)
    classes = agree(source, target if target is not None else source, recipe.classes)
    if recipe.oracle:
        if target is None or not target.labelled:
            raise InputError(f"{recipe.name}: an oracle trains on target labels; give a labelled --target")
        source = target
    if not source.labelled:
        raise InputError(
            f"{recipe.source.dataset}: the split {source.name!r} has no labels, and the source needs them; "
            "add `labels:` to that split in the dataset file"
        )
    return Domains(source, target, _evaluation_split(recipe), classes)


def _evaluation_split(recipe: Recipe) -> Split | None:
    """The labelled split to report on. One that the user named must exist; the default may be missing."""
    named = recipe.evaluation.split or "val"
    if recipe.evaluation.dataset is not None:
        split = resolve(recipe.evaluation.dataset, named)
        if not split.labelled:
            raise InputError(
                f"evaluation.dataset = {recipe.evaluation.dataset}: the split {split.name!r} has no labels; "
                "name a labelled one, or leave evaluation.dataset out"
            )
        return split
    if recipe.target.dataset is None:
        return None
    try:
        split = resolve(recipe.target.dataset, named)
    except InputError:
        if recipe.evaluation.split is not None:
            raise
        return None
    return split if split.labelled else None
