"""On which images a report looks at its runs, unless the user names others: those of the runs themselves."""

from collections.abc import Sequence
from dataclasses import replace

from segshift.data.resolve import resolve
from segshift.data.sampling import take_subset
from segshift.data.spec import Split
from segshift.engine.datasets import evaluation_split
from segshift.errors import InputError
from segshift.plain import counted
from segshift.report.runs import Run


def own_source(runs: Sequence[Run]) -> Split | None:
    """The first run's source, as its first stage knew it, before any translation; None if no run has one.

    A run that adapted a network without source images is passed over.

    Raises:
        InputError: the images are gone.
    """
    first = next((run for run in runs if run.recipe.has_source), None)
    if first is None:
        return None
    domain = first.recipe.source if first.recipe.source.dataset is not None else first.final.source
    if domain.dataset is None:
        raise InputError(f"{first.folder}: its config.yaml names no source; give --source")
    try:
        return take_subset(resolve(domain.dataset, domain.split), domain.subset)
    except InputError as error:
        raise InputError(f"{first.folder}: its source cannot be read ({error}); give --source") from None


def own_target(runs: Sequence[Run]) -> Split:
    """What the runs were evaluated on; without labels anywhere, the first run's target images.

    Raises:
        InputError: runs that were evaluated on different images, or images that are gone.
    """
    found: list[tuple[Run, Split]] = []
    for run in runs:
        split = _evaluation(run)
        if split is None:
            continue
        if found and _images(found[0][1]) != _images(split):
            other, theirs = found[0]
            raise InputError(
                f"{other.name} was evaluated on {_in_words(theirs)}, {run.name} on {_in_words(split)}; "
                "a report compares scores on the same images: name them with --target"
            )
        found.append((run, split))
    return found[0][1] if found else _unlabelled(runs[0])


def _evaluation(run: Run) -> Split | None:
    try:
        split = evaluation_split(run.final)
    except InputError as error:
        raise InputError(f"{run.folder}: its target cannot be read ({error}); give --target") from None
    if split is None and run.results.get("evaluated_on"):
        raise InputError(
            f"{run.folder}: what it was evaluated on, {run.results['evaluated_on']}, cannot be read any "
            "more; give --target"
        )
    return split


def _unlabelled(run: Run) -> Split:
    """The images that a run adapted to. Labels that training did not open stay closed here, too."""
    domain = run.final.target
    if domain.dataset is None:
        raise InputError(f"{run.folder}: its config.yaml names no target; give --target")
    try:
        split = take_subset(resolve(domain.dataset, domain.split, labels="unused"), domain.subset)
    except InputError as error:
        raise InputError(f"{run.folder}: its target cannot be read ({error}); give --target") from None
    return replace(split, samples=tuple(replace(sample, label=None) for sample in split.samples))


def _in_words(split: Split) -> str:
    return f"{split.title} ({counted(len(split.samples), 'image')})"


def _images(split: Split) -> list[str]:
    return [str(sample.image.resolve()) for sample in split.samples]
