"""The settings of `optimizers:` and `training:`, as the user writes them in a recipe."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from segshift.config import Strict, did_you_mean
from segshift.engine.schedule import ScheduleConfig
from segshift.label_free_scores import SCORES
from segshift.ranges import BatchSize, Count, Decay, NotNegative, Steps

# The parts of a segmenter that are trained from scratch: the papers give them ten times the rate.
CLASSIFIERS = ("head", "second_head", "auxiliary_head", "multi_resolution")
# Besides the names of `SCORES`, what `training.select` may be.
LAST, TARGET_MIOU = "last", "target_miou"


class OptimizerConfig(Strict):
    """One network's optimizer.

    Attributes:
        kind: sgd, adam or adamw.
        lr: learning rate at its base.
        momentum: of sgd.
        betas: of adam and adamw.
        weight_decay: as PyTorch defines it for that kind.
        lr_multipliers: factor on the learning rate of parameters whose name starts with the key
            ("head": 10), the longest matching key wins.
        layer_decay: a further factor for each layer of a timm backbone between a parameter and the head: with
            0.9 the last block has 0.9 of the rate, the one before it 0.81.
        schedule: how the rate runs over the steps.
    """

    kind: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(2.5e-4, gt=0)
    momentum: Decay = 0.9
    betas: tuple[Decay, Decay] = (0.9, 0.99)
    weight_decay: NotNegative = 5e-4
    lr_multipliers: dict[str, NotNegative] = Field(default_factory=dict)
    layer_decay: float = Field(1.0, gt=0, le=1)
    schedule: ScheduleConfig = ScheduleConfig()


class TrainingConfig(Strict):
    """The loop.

    Attributes:
        steps: optimizer steps; 0 only prepares (AdaBN).
        batch_size: images per step from each domain, over all processes and micro-batches.
        micro_batches: parts in which a process walks its share of the batch, to save memory.
        evaluate_every: steps between evaluations; 0 evaluates only at the end.
        evaluate_start: evaluate the network that the run starts from as well, so that `select` may keep it.
        patience: end the run when so many evaluations in a row were no better by `select`; null never does.
        checkpoint_every: steps between checkpoints; the last step always writes one.
        keep_checkpoints: how many of the newest are kept, each with its network, which every command takes
            as RUN@STEP; all keeps the networks of all, step 0 among them, and two states to resume from.
        log_every: steps between lines of metrics.jsonl.
        pictures_every: steps between the pictures of methods that have some (reconstructions); 0 for none.
        precision: fp32, or bf16 autocast.
        clip_norm: largest gradient norm per network; null does not clip.
        channels_last: memory layout that is faster for convolutions on most machines.
        convolutions: auto makes matrix products of convolutions where that is faster (training on a CPU in
            float32 and channels_last, not compiled), which changes values by rounding alone; library leaves
            all to PyTorch.
        compile: torch.compile of backbones and classifiers, which takes minutes when they first see images of
            a size and makes steps faster on a GPU; changes values by rounding alone.
        threads: PyTorch's CPU threads; null keeps its default, auto measures at the start which number is the
            fastest. Another number may change the last bits of a run.
        workers: loader processes per domain; 0 loads in the training process, auto shares the cores out among
            the domains.
        augment_on: where images are resized and augmented: in the loader processes, or on the device, which
            helps a GPU whose loader processes do not keep up. Draws are the same; a GPU may round a pixel's
            value the other way, a CPU never does.
        loader_timeout_s: a run ends when no loader process has delivered a batch for so long.
        process_timeout_s: with several training processes, all end when one has been silent for so long.
        select: which checkpoint becomes the model: last, or the best of all evaluations by a score that
            needs no target labels (docs/health.md lists them). target_miou, a bound, needs the next key.
        oracle_selection: select by target labels. For comparison only, and marked so in every table; `oracle`
            is about training on them.
        skip_bad: read every file once before the first step, and leave out samples that cannot be used,
            instead of refusing to start.
    """

    steps: Steps = 1000
    batch_size: BatchSize = 4
    micro_batches: BatchSize = 1
    evaluate_every: Steps = 0
    evaluate_start: bool = False
    patience: Count | None = None
    checkpoint_every: Count = 500
    keep_checkpoints: Count | Literal["all"] = 2
    log_every: Count = 10
    pictures_every: Steps = 500
    precision: Literal["fp32", "bf16"] = "fp32"
    clip_norm: float | None = Field(None, gt=0)
    channels_last: bool = True
    convolutions: Literal["auto", "library"] = "auto"
    compile: bool = False
    threads: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] | None = None
    workers: Annotated[int, Field(ge=0, le=256)] | Literal["auto"] = "auto"
    augment_on: Literal["loader", "device"] = "loader"
    loader_timeout_s: Count = 120
    process_timeout_s: Count = 60
    select: str = LAST
    oracle_selection: bool = False
    skip_bad: bool = False

    @field_validator("select")
    @classmethod
    def _known_score(cls, select: str) -> str:
        known = [LAST, *SCORES, TARGET_MIOU]
        if select not in known:
            raise ValueError(f"is no score to select by{did_you_mean(select, known)}")
        return select

    @model_validator(mode="after")
    def _selection_is_possible(self) -> Self:
        if self.oracle_selection != (self.select == TARGET_MIOU):
            raise ValueError(
                f"select: {TARGET_MIOU} uses target labels; it goes with oracle_selection: true "
                "(--oracle), and that with nothing else"
            )
        if self.select != LAST and self.steps and not self.evaluate_every:
            raise ValueError(
                f"select: {self.select} compares checkpoints, so set training.evaluate_every (in steps)"
            )
        if self.patience is not None and self.select == LAST:
            raise ValueError("patience waits for a better score: set training.select to one")
        return self
