"""What a recipe would cost, stage by stage, without running it or writing anything."""

from pathlib import Path

from segshift.engine.build import build, build_optimizers, step_settings
from segshift.engine.cost import Cost, measure_cost
from segshift.engine.datasets import DomainFinder, Domains, check_arguments
from segshift.engine.feed import TrainingData
from segshift.engine.fitting import too_large
from segshift.engine.plan import make_plan
from segshift.engine.processes import Processes
from segshift.engine.recipe import Recipe
from segshift.engine.settling import settle
from segshift.errors import is_out_of_memory
from segshift.models.compiling import compiler_faults


def dry_run(recipe: Recipe, folder: Path) -> dict[str, Cost | str]:
    """The cost of every job of a recipe by its title, or why it cannot be told.

    Args:
        recipe: what would be run.
        folder: where to; only the free disk there is looked at.

    Raises:
        InputError: as the run would, and when a step needs more memory than there is.
        errors.NonFiniteError: a first step that gives no numbers.
    """
    find = DomainFinder()
    costs: dict[str, Cost | str] = {}
    jobs = make_plan(recipe).jobs
    for job in jobs:
        check_arguments(job.recipe, job.kind, job.title if recipe.stages else "")
    for job in jobs:
        if job.kind != "train":
            costs[job.title] = "writes data with an earlier stage's network; not measured"
        elif job.needs_earlier_data or (job.recipe.init_from or "").startswith("{"):
            costs[job.title] = "needs what an earlier stage writes; not measured"
        elif job.recipe.training.steps == 0:
            costs[job.title] = "takes no steps"
        else:
            costs[job.title] = _cost(job.recipe, find(job.recipe), folder)
    return costs


def _cost(recipe: Recipe, domains: Domains, folder: Path) -> Cost:
    processes = Processes.join()
    method = settle(build(recipe, domains.classes), recipe.training, processes.device).train()
    alone = recipe.model_copy(update={"training": recipe.training.model_copy(update={"workers": 0})})
    data = TrainingData(alone, domains)
    method.prepare(data)
    batches = next(data.steps(processes, 0, method.uses_target))
    settings = step_settings(recipe.training, processes.device)
    try:
        with compiler_faults():
            return measure_cost(recipe, method, data, batches, settings, folder)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise too_large(method, build_optimizers(method, recipe), batches, settings) from None
