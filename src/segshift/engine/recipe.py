"""What a training run is made of: the recipe, as the user writes it in YAML."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from segshift.config import Strict
from segshift.data.augmentation import Augmentation
from segshift.data.border import Border
from segshift.data.labels import class_set
from segshift.data.sampling import SamplingConfig, SubsetConfig
from segshift.engine.training_config import CLASSIFIERS, LAST, TARGET_MIOU, OptimizerConfig, TrainingConfig
from segshift.folders import check_names
from segshift.models.inference_config import Inference
from segshift.models.segmenter_config import SegmenterConfig
from segshift.ranges import BatchSize, Seed, Steps
from segshift.sizes import Fit, WidthHeight

TrackerName = Literal["tensorboard", "mlflow", "wandb"]
# What `source.dataset` is where there are no source images: a trained network is adapted by the target alone.
NO_SOURCE = "none"


class Provenance(Strict):
    """Where a preset comes from.

    Attributes:
        paper: authors, title, venue.
        table: table and row that the preset stands for.
        reported: the paper's numbers, by name; null takes an inherited one out.
        stated: which list of what a paper states (`presets/stated/NAME.yaml`) the preset is held against.
        deviations: a sentence for every item of that list that the preset does not follow, or that the paper
            leaves open and something was chosen for; null takes an inherited one out.
        notes: what else has to be known about the reported numbers.
    """

    paper: str = ""
    table: str = ""
    reported: dict[str, float] = Field(default_factory=dict)
    stated: str = ""
    deviations: dict[str, str] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)

    @field_validator("reported", "deviations", mode="before")
    @classmethod
    def _without_nulls(cls, entries: Any) -> Any:
        """A mapping is laid on the one it extends, so a key can only be taken out by saying so."""
        if not isinstance(entries, dict):
            return entries
        return {key: value for key, value in entries.items() if value is not None}


class FurtherData(Strict):
    """A data set mixed into a domain's stream.

    Attributes:
        dataset: a dataset argument.
        split: the split to train on, unless the argument names one.
        weight: how often its images are drawn, where the domain's own data set has weight 1.
        subset: the part of the split to take; null takes all of it.
        ignored_border: as in `DomainConfig`, of this data set.
    """

    dataset: str
    split: str = "train"
    weight: float = Field(1.0, ge=1e-4, le=1e4)
    subset: SubsetConfig | None = None
    ignored_border: Border | None = None


class DomainConfig(Strict):
    """One stream of training images.

    Attributes:
        dataset: a dataset argument (`camvid:ROOT`, `city:game`, `FILE.yaml`), see `segshift data list`. That
            of the source may be `none`, for methods that need no source images (docs/adapt.md).
        split: the split to train on, unless the argument names one.
        also: further data sets of the same domain, mixed in by weight: GTA5 and SYNTHIA as one source, or
            translated images beside the original ones.
        subset: the part of the split to take; null takes all of it.
        sampling: how often each image is drawn; anything but uniform needs labels.
        augmentation: resize, random scale, crop, flip, color jitter, blur.
        ignored_border: px along the images' edges, at the files' own size, where labels and pseudo labels do
            not count: {bottom: 240} for the bonnet in 2048x1024 px of Cityscapes.
    """

    dataset: str | None = None
    split: str = "train"
    also: list[FurtherData] = Field(default_factory=list)
    subset: SubsetConfig | None = None
    sampling: SamplingConfig = SamplingConfig()
    augmentation: Augmentation = Augmentation()
    ignored_border: Border | None = None


class EvaluationConfig(Inference):
    """How the run is judged, with the keys of `Inference`. Labels found here are for the report only: never
    for training, and for selection only if `training.oracle_selection` says so.

    Attributes:
        dataset: a dataset argument; null takes the target's.
        split: the split to evaluate on, unless the argument names one; null is "val" if the target has
            one with labels, else nothing is evaluated.
        input_size: null takes the target's training resize, and the image's own size where there is none.
            Logits are up-sampled to the label's size.
        batch_size: images per forward pass.
        unsupervised_images: so many unlabelled training images of the target get label-free scores at every
            evaluation of `training.evaluate_every`; 0 for none.
        source_validation: labelled source images for the score of that name, a dataset argument; images that
            are trained on are left out. null takes the source's split `val` or, where there is none, what
            `source.subset` leaves out.
    """

    dataset: str | None = None
    split: str | None = None
    batch_size: BatchSize = 4
    unsupervised_images: Steps = 32
    source_validation: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _older_mode(cls, data: Any) -> Any:
        """Older recipes said `mode: sliding` beside the window; with `mode: whole` it had no effect."""
        if not isinstance(data, dict) or data.get("mode") not in ("whole", "sliding"):
            return data
        if data["mode"] == "sliding" and data.get("window") is None:
            raise ValueError("mode: sliding needs `window: [width, height]`")
        window = data.get("window") if data["mode"] == "sliding" else None
        return {**{key: value for key, value in data.items() if key != "mode"}, "window": window}


class Stage(Strict):
    """One stage of a recipe.

    In the strings of `changes` and `settings`, `{NAME}` stands for the folder of the earlier stage NAME.

    Attributes:
        name: folder of the stage inside the run folder.
        kind: train; translate writes a translated copy of the source with a trained translator;
            pseudo_label writes the target's images with a trained segmenter's labels. Both write a
            `dataset.yaml` into their folder.
        changes: keys of the recipe that differ in this stage. Unless they set `init_from`, a later stage
            starts from the model of the last stage that trained one.
        settings: of a translate stage (see `TranslationConfig`) or a pseudo_label stage
            (see `PseudoLabelConfig`).
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    kind: Literal["train", "translate", "pseudo_label"] = "train"
    changes: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)


class Recipe(Strict):
    """A whole training run.

    Attributes:
        name: title of the run.
        description: one line for `segshift presets list`.
        group: under which heading the list shows it.
        provenance: paper, table, deviations; null for recipes of one's own.
        seed: of everything random.
        source: the labelled domain.
        target: the unlabelled domain; its labels are never opened in training.
        pseudo_labelled: target images with labels that a network gave them (`segshift data pseudo-label`);
            every step sees as many of them as of the source, in a forward pass of their own.
        target_labelled: the few target images that have true labels, if there are some: a further
            supervised stream. Every table says that they were used.
        classes: a class set or list of names that both domains are mapped to; null needs equal classes.
        model: the network.
        init_from: a model.safetensors or run folder to start from; null starts from `model.weights`.
        method: `name:` of the method (or `FILE.py:CLASS`) and its settings; `align` takes `terms:`.
        optimizers: by network name; "adversary" serves every network that has no entry of its own.
        training: the loop.
        evaluation: how the run is judged.
        oracle: train on the target's labels. For comparison only, and marked so in every table.
        stages: the recipe run several times with changes; empty for a single run.
        trackers: where metrics.jsonl goes as well: tensorboard, mlflow, wandb (docs/watch.md).
    """

    name: str
    description: str = ""
    group: str = "own"
    provenance: Provenance | None = None
    seed: Seed = 0
    source: DomainConfig = DomainConfig()
    target: DomainConfig = DomainConfig()
    pseudo_labelled: DomainConfig | None = None
    target_labelled: DomainConfig | None = None
    classes: str | list[str] | None = None
    model: SegmenterConfig = SegmenterConfig()
    init_from: str | None = None
    method: dict[str, Any] = Field(default_factory=lambda: {"name": "align"})
    optimizers: dict[str, OptimizerConfig] = Field(default_factory=dict)
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    oracle: bool = False
    stages: list[Stage] = Field(default_factory=list)
    trackers: list[TrackerName] = Field(default_factory=list)

    @field_validator("trackers")
    @classmethod
    def _distinct_trackers(cls, trackers: list[TrackerName]) -> list[TrackerName]:
        if len(set(trackers)) < len(trackers):
            raise ValueError("a tracker stands there twice")
        return trackers

    @field_validator("classes")
    @classmethod
    def _classes_that_there_are(cls, classes: str | list[str] | None) -> str | list[str] | None:
        if classes is not None:
            class_set(classes, name="of the recipe")
        return classes

    @field_validator("target")
    @classmethod
    def _target_without_labels(cls, target: DomainConfig) -> DomainConfig:
        if target.sampling.kind != "uniform":
            raise ValueError("sampling by class needs labels, and those of the target are never opened")
        return target

    @field_validator("stages")
    @classmethod
    def _distinct_stages(cls, stages: list[Stage]) -> list[Stage]:
        names = [stage.name for stage in stages]
        check_names(names, "stage")
        if len(set(names)) < len(names):
            raise ValueError("two stages have the same name")
        return stages

    @property
    def labelled_streams(self) -> dict[str, DomainConfig]:
        """The further labelled streams by their keys."""
        streams = {"pseudo_labelled": self.pseudo_labelled, "target_labelled": self.target_labelled}
        return {name: stream for name, stream in streams.items() if stream is not None}

    @model_validator(mode="after")
    def _scores_to_select_by(self) -> Self:
        if self.training.select not in (LAST, TARGET_MIOU) and not self.evaluation.unsupervised_images:
            raise ValueError(
                f"training.select: {self.training.select} needs evaluation.unsupervised_images above 0"
            )
        return self

    @property
    def has_source(self) -> bool:
        """Whether there are source images; an oracle's are the target's."""
        return self.oracle or self.source.dataset != NO_SOURCE

    @property
    def source_images_per_step(self) -> int:
        """Labelled source images in each step."""
        return self.training.batch_size if self.has_source else 0

    @property
    def trains_on_target_labels(self) -> bool:
        """Whether true labels of the target take part in training."""
        return self.oracle or self.target_labelled is not None

    @property
    def uses_target_labels(self) -> bool:
        """Whether they take part in training or in the choice of a checkpoint, which every table must say."""
        return self.trains_on_target_labels or self.training.oracle_selection

    def optimizer_for(self, network: str) -> OptimizerConfig:
        """The settings of one network's optimizer: its own, else "adversary", else the defaults."""
        if network in self.optimizers:
            return self.optimizers[network]
        if network != "segmenter" and "adversary" in self.optimizers:
            return self.optimizers["adversary"]
        if network == "segmenter":
            return OptimizerConfig(lr_multipliers=dict.fromkeys(CLASSIFIERS, 10.0))
        return OptimizerConfig(kind="adam", lr=1e-4, weight_decay=0.0)

    def inference_size(self) -> WidthHeight | None:
        """(width, height) at which the network sees images after training; None is each image's own."""
        size = self.evaluation.input_size or self.target.augmentation.resize or self.model.input_size
        return None if size == "native" else size

    def inference_fit(self) -> Fit:
        """What becomes, after training, of images with other proportions: what became of the target's."""
        if self.evaluation.fit is not None:
            return self.evaluation.fit
        target = self.target.augmentation
        return self.model.input_fit if target.resize is None else target.fit

    @property
    def inference(self) -> Inference:
        """How the network sees images after training."""
        settings = self.evaluation.model_dump(include={*Inference.model_fields})
        return Inference(**{**settings, "input_size": self.inference_size(), "fit": self.inference_fit()})
