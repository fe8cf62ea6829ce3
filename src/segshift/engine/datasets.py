"""Which images a recipe trains and is judged on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from segshift import models
from segshift.data.labels import ClassSet, agreed_classes, class_mapping
from segshift.data.resolve import agree, check_argument, classes_of, resolve
from segshift.data.same_images import found_among
from segshift.data.sampling import take_subset
from segshift.data.spec import LabelUse, Split
from segshift.engine.recipe import NO_SOURCE, DomainConfig, Recipe
from segshift.engine.stages import refers
from segshift.errors import InputError
from segshift.folders import model_file
from segshift.plain import counted


@dataclass(frozen=True)
class Domains:
    """The resolved data of a run.

    Attributes:
        source: labelled training images (an oracle's are the target's); None if the recipe has none.
        target: training images whose labels are never opened; None if the recipe names none.
        evaluation: a labelled split, or None when the target has no labels.
        classes: what the network predicts.
        also: further splits of a stream, by its key in the recipe ("source", "target" ...), in order.
        labelled: the splits of the further labelled streams, by their keys.
    """

    source: Split | None
    target: Split | None
    evaluation: Split | None
    classes: ClassSet
    also: Mapping[str, tuple[Split, ...]] = field(default_factory=dict)
    labelled: Mapping[str, Split] = field(default_factory=dict)

    def describe(self, which: str) -> str | None:
        """Dataset, split and number of images in words, with what a subset took: "gta5 train (5 images)"."""
        split: Split | None = self.labelled.get(which) or getattr(self, which, None)
        if split is None:
            return None
        splits = (split, *self.also.get(which, ()))
        return " + ".join(
            f"{one.dataset} {one.name} ({one.taken or counted(len(one.samples), 'image')})" for one in splits
        )


def resolve_domains(recipe: Recipe) -> Domains:
    """Find the images of a recipe.

    An oracle's source is the target: of the recipe's own source it only takes the classes' order, so that it
    can be compared with runs on it; its images need not be there, and it may name none. Without source images
    the classes are those of the network that the run starts from.

    Raises:
        InputError: no source, an oracle or method without a target, unequal classes without `classes:`.
    """
    # Nobody needs label files to adapt to a data set that could have some, or has some.
    target_labels: LabelUse = "needed" if recipe.oracle else "unused"
    target = None
    if recipe.target.dataset is not None:
        found = resolve(recipe.target.dataset, recipe.target.split, labels=target_labels)
        target = take_subset(found, recipe.target.subset)
    streams = {"target": recipe.target, **recipe.labelled_streams}
    if recipe.oracle:
        if target is None or not target.labelled:
            raise InputError(f"{recipe.name}: an oracle trains on target labels; give a labelled --target")
        source, streams["source"] = target, recipe.target
        classes = _oracle_classes(recipe, target)
    elif not recipe.has_source:
        source, classes = None, _classes_of_start(recipe, target)
        # Its labels are not opened, so whatever classes they have do not matter.
        target = target and replace(target, classes=classes)
    else:
        if recipe.source.dataset is None:
            raise InputError(f"{recipe.name}: no source images; give --source or set source.dataset")
        source = take_subset(resolve(recipe.source.dataset, recipe.source.split), recipe.source.subset)
        streams["source"] = recipe.source
        classes = agree(source, target if target is not None else source, recipe.classes)
    also = {
        name: tuple(
            take_subset(
                resolve(one.dataset, one.split, labels=target_labels if name == "target" else "needed"),
                one.subset,
            )
            for one in stream.also
        )
        for name, stream in streams.items()
    }
    labelled = {
        name: _named_split(stream, name, recipe.name) for name, stream in recipe.labelled_streams.items()
    }
    trained: list[Split] = []
    for key, split in [("source", source), *labelled.items()]:
        for one in () if split is None else (split, *also[key]):
            trained.append(one)
            if not one.labelled:
                raise InputError(
                    f"{one.title}: has no labels, and `{key}` needs them; "
                    "add `labels:` to that split in the dataset file"
                )
    evaluation = _never_trained(_evaluation(recipe, classes), trained)
    return Domains(source, target, evaluation, classes, also, labelled)


def _classes_of_start(recipe: Recipe, target: Split | None) -> ClassSet:
    """Those of the network that a run without source images starts from, or those that the recipe names."""
    if recipe.source.also:
        raise InputError(f"{recipe.name}: source.also is mixed into source.dataset, which is none")
    if target is None:
        raise InputError(f"{recipe.name}: neither source nor target images; give --target")
    if recipe.classes is not None or recipe.init_from is None:
        return agree(target, target, recipe.classes)
    return models.load(recipe.init_from).classes


def _evaluation(recipe: Recipe, classes: ClassSet) -> Split | None:
    """The images to report on. Without a source, the target's own are taken only if their classes will do."""
    split = evaluation_split(recipe)
    if split is not None and not recipe.has_source and recipe.evaluation.dataset is None:
        try:
            class_mapping(split.classes, classes)
        except InputError:
            return None
    return split


def _never_trained(evaluation: Split | None, trained: list[Split]) -> Split | None:
    """The evaluation without images (or copies of them) whose labels are trained on: no measure.

    Raises:
        InputError: nothing else is left.
    """
    if evaluation is None:
        return None
    seen = found_among(
        (one.image for one in evaluation.samples), (one.image for split in trained for one in split.samples)
    )
    kept = tuple(one for one in evaluation.samples if one.image not in seen)
    if len(kept) == len(evaluation.samples):
        return evaluation
    count = len(evaluation.samples)
    if not kept:
        all_of_it = "its one image is" if count == 1 else f"all of its {count} images are"
        raise InputError(
            f"{evaluation.title}: {all_of_it} trained on with labels, which measures nothing; name others "
            f"with evaluation.dataset or evaluation.split, or train on fewer"
        )
    taken = f"{len(kept)} of {count} images, those trained on with labels left out"
    return replace(
        evaluation, samples=kept, taken=f"{evaluation.taken}; {taken}" if evaluation.taken else taken
    )


def _oracle_classes(recipe: Recipe, target: Split) -> ClassSet:
    named = recipe.source.dataset
    if named in (None, NO_SOURCE) or recipe.classes is not None:
        return agree(target, target, recipe.classes)
    try:
        return agreed_classes(classes_of(named), target.classes, None)
    except InputError as error:
        raise InputError(f"{named} and {target.title}: {error}") from None


def check_arguments(recipe: Recipe, kind: str = "train", where: str = "") -> None:
    """Refuse what a stage cannot begin with, without a look at any image: dataset arguments, splits, a start.

    What an earlier stage writes is not there yet, and passes.

    Args:
        recipe: of the stage.
        kind: train looks at all, translate at the source, pseudo_label at the target.
        where: what messages begin with, such as the stage.

    Raises:
        InputError: as `check_argument`, or for a model to start from that is not there.
    """
    try:
        _check_arguments(recipe, kind)
    except InputError as error:
        raise InputError(f"{where}: {error}" if where else str(error)) from None


def _check_arguments(recipe: Recipe, kind: str) -> None:
    start = recipe.init_from
    if kind == "train" and start is not None and not refers(start) and not model_file(start).is_file():
        raise InputError(f"init_from = {start}: there is no {model_file(start)}")
    labelled = [*([] if recipe.oracle else [recipe.source]), *recipe.labelled_streams.values()]
    streams = {
        "train": [recipe.target, *labelled],
        "translate": [recipe.source],
        "pseudo_label": [recipe.target],
    }[kind]
    named: list[tuple[str | None, str | None]] = []
    for stream in streams:
        named.append((stream.dataset, stream.split))
        named += [(further.dataset, further.split) for further in stream.also]
    if kind == "train":
        judged = recipe.evaluation
        named.append((judged.dataset, judged.split or "val"))
        if judged.dataset is None:
            named.append((recipe.target.dataset, judged.split))
        named.append((judged.source_validation, None))
    for argument, split in named:
        if argument not in (None, NO_SOURCE) and not refers(argument):
            check_argument(argument, split)


class DomainFinder:
    """`resolve_domains` that looks for equal data once: stages, arms and sweeps name the same again."""

    def __init__(self) -> None:
        self._found: dict[str, Domains] = {}

    def __call__(self, recipe: Recipe) -> Domains:
        """The images of a recipe. Raises InputError as `resolve_domains` does."""
        streams = {"source", "target", "pseudo_labelled", "target_labelled"}
        with_start = set() if recipe.has_source else {"init_from"}
        key = recipe.model_dump_json(include={*streams, *with_start, "oracle", "classes", "evaluation"})
        if key not in self._found:
            self._found[key] = resolve_domains(recipe)
        return self._found[key]


def _named_split(stream: DomainConfig, key: str, recipe: str) -> Split:
    if stream.dataset is None:
        raise InputError(f"{recipe}: {key}.dataset is missing; name a labelled data set or take {key} out")
    return take_subset(resolve(stream.dataset, stream.split), stream.subset)


def evaluation_split(recipe: Recipe) -> Split | None:
    """The labelled split to report on. One that the user named must exist; the default may be missing.

    Raises:
        InputError: a named split that cannot be had, or has no labels.
    """
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
