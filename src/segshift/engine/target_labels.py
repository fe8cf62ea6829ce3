"""Whether a network has seen labels of its target: what every table has to say beside its scores."""

from contextlib import suppress
from pathlib import Path

from segshift.config import parse
from segshift.data.resolve import locate, resolve
from segshift.data.same_images import found_among
from segshift.data.sampling import take_subset
from segshift.data.spec import Split
from segshift.documents import read_json, read_yaml
from segshift.engine.pseudo_label_folder import SUMMARY
from segshift.engine.recipe import DomainConfig, FurtherData, Recipe
from segshift.errors import InputError
from segshift.folders import RunFolder


def saw_target_labels(model: str | Path) -> bool | None:
    """What the `results.json` of a model's run says about it, or None where there is none.

    Args:
        model: a run folder, the model.safetensors in one, or RUN@STEP. Of a run that is not finished the
            recipe says it.
    """
    run = RunFolder.of(model)
    if run.results.is_file() or not run.is_run:
        return _said_in(run.results)
    try:
        return _begun_with(parse(Recipe, read_yaml(run.config), str(run.config)))
    except InputError:
        return None


def images_trained_on(model: str | Path, split: Split) -> int:
    """How many images of a split the model's own run trained on with their labels; 0 where nobody knows.

    Args:
        model: as for `saw_target_labels`.
        split: the images that are to be scored.
    """
    run = RunFolder.of(model)
    if not run.is_run:
        return 0
    try:
        recipe = parse(Recipe, read_yaml(run.config), str(run.config))
    except InputError:
        return 0
    named: list[DomainConfig | FurtherData] = []
    for stream in _labelled(recipe):
        named += [stream, *stream.also]
    trained: list[Path] = []
    for one in named:
        # Data that has gone since the run: of that nobody knows.
        with suppress(InputError):
            if one.dataset is not None:
                found = take_subset(resolve(one.dataset, one.split), one.subset)
                trained += [sample.image for sample in found.samples]
    return len(found_among([sample.image for sample in split.samples], trained))


def _labelled(recipe: Recipe) -> list[DomainConfig]:
    """The streams whose labels are trained on."""
    source = [recipe.target if recipe.oracle else recipe.source] if recipe.has_source else []
    return [*source, *recipe.labelled_streams.values()]


def _begun_with(recipe: Recipe) -> bool:
    return recipe.uses_target_labels or inherits_target_labels(recipe)


def labeller_saw_target_labels(data: str) -> bool | None:
    """The same of the network that labelled a data set; None for one that is no pseudo-label folder.

    Args:
        data: a dataset argument.

    Raises:
        InputError: there is no such data set.
    """
    dataset, _ = locate(data)
    return _said_in(dataset.folder / SUMMARY)


def inherits_target_labels(recipe: Recipe) -> bool:
    """Whether a run learns from target labels that others have seen: its start, or who made its labels.

    Raises:
        InputError: a data set of the recipe is missing.
    """
    if recipe.init_from is not None and saw_target_labels(recipe.init_from):
        return True
    named = [
        data
        for one in _labelled(recipe)
        for data in (one.dataset, *(further.dataset for further in one.also))
    ]
    return any(labeller_saw_target_labels(data) for data in named if data is not None)


def _said_in(path: Path) -> bool | None:
    try:
        used = read_json(path)["uses_target_labels"]
    except (InputError, KeyError, TypeError):
        return None
    return used if isinstance(used, bool) else None
