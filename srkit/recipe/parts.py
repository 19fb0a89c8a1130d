"""The parts of a recipe and their keys: components, data, training, evaluation, search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    WrapSerializer,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)

from srkit.components.durations import Duration, Length
from srkit.components.options import Options
from srkit.recipe.trees import has_sets
from srkit.recipe.values import Crop, Freeze, Span, set_names, with_types, without_nulls


class Part(Options):
    """A part of a recipe; unknown keys and infinite numbers are errors."""

    model_config = ConfigDict(allow_inf_nan=False)


class Spec(Options):
    """A component: its type, and the options that its factory declares."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    type: str

    @property
    def options(self) -> dict[str, Any]:
        """The component's own options that the recipe sets."""
        return dict(self.model_extra or {})

    @model_serializer(mode="wrap")
    def _keep_null_options(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Include options that are null, since their defaults may differ."""
        return {**dict.fromkeys(["type", *self.options]), **dump(self)}


#: One component, or several applied in order.
Steps = Annotated[
    Annotated[Spec, Tag("Spec")] | Annotated[list[Spec], Field(min_length=1), Tag("list")],
    Discriminator(lambda given: "list" if isinstance(given, list) else "Spec"),
]


class OptimiserSpec(Spec):
    """An optimiser."""

    type: str = "adam"


class ScheduleSpec(Spec):
    """The schedule of the learning rates."""

    type: str = "constant"


# No attribute in the body of a class can have the name `from`.
_FIRST: dict[str, Any] = {"from": (float, Field(0.0, description="The first weight"))}
_From: Any = create_model("_From", __base__=Part, **_FIRST)


class WeightSpec(_From):  # type: ignore[misc]
    """A weight that changes linearly from one value to another."""

    to: float = Field(description="The last weight")
    start: Duration | None = Field(None, description="When it begins to change; at once by default")
    over: Duration | None = Field(None, description="For how long it changes; by default a jump")

    @property
    def values(self) -> tuple[float, float]:
        """The first and the last value."""
        return getattr(self, "from"), self.to

    def at(self, step: int, steps_per_epoch: float) -> float:
        """Return the weight at a step, a pure function of it."""
        first, last = self.values
        since = step - (0 if self.start is None else self.start.in_steps(steps_per_epoch))
        if since < 0:
            return first
        if self.over is None:
            return last
        return first + (last - first) * min(1.0, since / self.over.in_steps(steps_per_epoch))


#: A weight, or how it changes in the course of the training.
Weight = Annotated[
    Annotated[float, Tag("float")] | Annotated[WeightSpec, Tag("WeightSpec")],
    Discriminator(
        lambda given: "WeightSpec" if isinstance(given, Mapping | WeightSpec) else "float"
    ),
]


class LossSpec(Spec):
    """A loss; its type defaults to its name in the recipe."""

    weight: Weight = Field(1.0, description="Factor of the term, or how it changes")
    teacher: str | None = Field(
        None, description="The teacher to use; required if there are several"
    )


class MetricSpec(Spec):
    """A metric; its type defaults to its name in the recipe."""

    teacher: str | None = Field(
        None, description="The teacher to use; required if there are several"
    )


class TeacherSpec(Spec):
    """A network that analyses images; frozen unless `trainable`."""

    trainable: bool = Field(
        False,
        description=(
            "Train it, too, by cross-entropy on HR and SR; requires labels, or masks for "
            "segmentation"
        ),
    )
    optimiser: OptimiserSpec = Field(
        OptimiserSpec.model_construct(), description="Its optimiser, if it is trained"
    )
    answers: Literal["keep", "compute"] = Field(
        "keep",
        description=(
            "Whether a frozen classifier's scores on HR are kept on disk if HR is the same in "
            "every epoch"
        ),
    )


class GameSpec(Spec):
    """An adversarial game; its name alone is enough if it needs no options."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"type": given} if isinstance(given, str) else given


class DiscriminatorSpec(Spec):
    """A discriminator and its adversarial loss."""

    weights: str | None = Field(None, description="Trained weights of the discriminator")
    loss: GameSpec = Field(
        default_factory=lambda: GameSpec(type="vanilla"), description="The adversarial game"
    )
    weight: Weight = Field(
        1e-3, description="Factor of the adversarial term in the generator's loss"
    )
    optimiser: OptimiserSpec = Field(
        OptimiserSpec.model_construct(), description="The discriminator's optimiser"
    )

    @field_validator("weight")
    @classmethod
    def _not_negative(cls, given: float | WeightSpec) -> float | WeightSpec:
        smallest = min(given.values if isinstance(given, WeightSpec) else (given,))
        if smallest < 0:
            raise ValueError(f"got {smallest}; expected a number greater than or equal to 0")
        return given


class UncertaintySpec(Part):
    """A head of the generator that predicts the variance of SR."""

    type: Literal["gaussian"] = Field("gaussian", description="The distribution of HR around SR")
    features: int = Field(32, gt=0, description="Channels between its four convolutions")
    optimiser: OptimiserSpec | None = Field(None, description="Its optimiser")


def _name_as_spec(given: Any) -> Any:
    """Accept the name of a component in place of the component without options."""
    return {"type": given} if isinstance(given, str) else given


def _spec_as_name(spec: Spec, dump: SerializerFunctionWrapHandler) -> Any:
    return dump(spec) if spec.options else spec.type


#: A component by its name, or with options.
NamedSpec = Annotated[Spec, BeforeValidator(_name_as_spec), WrapSerializer(_spec_as_name)]


class MixSpec(Part):
    """Images mixed into the training data, such as simulated pairs into few real ones."""

    dataset: Spec = Field(description="The data set that is mixed in")
    share: float = Field(gt=0, lt=1, description="Probability that a sample is drawn from here")


class Source(Part):
    """A data set, and how its images are cropped."""

    dataset: Spec = Field(description="The data set")
    mix: MixSpec | None = Field(
        None,
        description=(
            "For training: other images, such as simulated pairs, and the probability (0 to 1) "
            "that a sample is drawn from them. Labels, masks and boxes must each be in both "
            "data sets or in neither"
        ),
    )
    crop: Crop | None = Field(
        None,
        description=(
            "For training: side of a random crop in HR pixels, or in LR pixels as in `48 LR`"
        ),
    )
    augment: list[NamedSpec] = Field(
        default_factory=list, description="For training: random changes, applied in order"
    )

    def hr_crop(self, scale: int) -> int | None:
        """Return the side of the crop in HR pixels; None for whole images."""
        if isinstance(self.crop, str):
            return scale * int(self.crop.removesuffix(" LR"))
        return self.crop


def _reserved(given: dict[str, Source]) -> dict[str, Source]:
    """Check that no data set has the name of a key of a data set."""
    for name in Source.model_fields:
        if name in given:
            raise ValueError(f"'{name}' cannot be the name of a data set; choose another")
    return given


#: One data set, or several by name.
Sources = Annotated[
    Annotated[Source, Tag("Source")]
    | Annotated[
        dict[str, Source],
        BeforeValidator(set_names),
        AfterValidator(_reserved),
        Tag("dict"),
    ],
    Discriminator(lambda given: "dict" if has_sets(given) or _are_sources(given) else "Source"),
]


def _are_sources(given: Any) -> bool:
    return isinstance(given, dict) and any(isinstance(each, Source) for each in given.values())


class DataSpec(Part):
    """The data of a run."""

    train: Source | None = Field(default=None, description="What the networks are trained on")
    validation: Sources | None = Field(
        default=None,
        description="What selects the best checkpoint: one data set, or several by name",
    )
    test: Sources | None = Field(
        default=None, description="What the evaluation measures: one data set, or several by name"
    )

    def sources(self) -> dict[str, Source]:
        """Return every data set by its path in ``data``, such as ``test`` or ``test.set5``."""
        found: dict[str, Source] = {}
        for split in ("train", "validation", "test"):
            given: Source | dict[str, Source] | None = getattr(self, split)
            if isinstance(given, Source):
                found[split] = given
            elif given is not None:
                found |= {f"{split}.{name}": source for name, source in given.items()}
        return found


class StartSpec(Part):
    """The initial state of training."""

    weights: str = Field(
        description=(
            "A weight file, a checkpoint, a run folder, `hf:OWNER/NAME`, or a name under which "
            "the generator has published weights"
        )
    )
    take: Literal["generator", "networks", "all"] = Field(
        "generator",
        description=(
            "What to take over of a run: its generator as it is used; all networks and the "
            "average; the state of the optimisers, too"
        ),
    )
    reinitialise: list[str] = Field(
        default_factory=list,
        description="Keys that may differ from the file and are reinitialised, such as `tail.*`",
    )
    freeze: Freeze = Field(
        default_factory=list,
        description="Stages of the generator that are frozen, and for how long",
    )
    l2_sp: float | None = Field(
        None,
        gt=0,
        description=(
            "α of L2-SP, a penalty of α/2 times the squared distance from the initial weights "
            "(Li et al. 2018), for small data sets"
        ),
    )

    @model_validator(mode="after")
    def _whole(self) -> StartSpec:
        if self.take == "all" and self.reinitialise:
            raise ValueError("'reinitialise' and 'take: all' cannot be combined; remove one")
        return self

    @property
    def frozen(self) -> dict[str, Span]:
        """How long to freeze each stage, by patterns of their names."""
        return (
            dict(self.freeze)
            if isinstance(self.freeze, dict)
            else dict.fromkeys(self.freeze, "always")
        )


#: The modes of torch.compile.
CompileMode = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]


class TrainingSpec(Part):
    """Duration, optimiser, precision and checkpoints of training."""

    duration: Duration = Field(Length(1, "epochs"), description="Duration of the run")
    batch_size: int = Field(
        16,
        gt=0,
        description="Images per step, in total, over all processes and all `accumulate` parts",
    )
    accumulate: int = Field(
        1, gt=0, description="Parts in which a step is computed, to save memory"
    )
    optimiser: OptimiserSpec = Field(
        OptimiserSpec.model_construct(), description="The generator's optimiser"
    )
    schedule: ScheduleSpec = Field(
        ScheduleSpec.model_construct(), description="Schedule of all learning rates"
    )
    clip: float | None = Field(None, gt=0, description="Maximum norm of each network's gradient")
    ema: float | None = Field(None, gt=0, lt=1, description="Decay of averaged weights")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="Precision of the networks; `fp16` requires a CUDA GPU"
    )
    compile: bool | CompileMode = Field(
        False, description="Compile trained networks with `torch.compile`, in one of its modes"
    )
    deterministic: bool = Field(False, description="Use deterministic algorithms only")
    tf32: bool | None = Field(None, description="Compute fp32 by TF32 on NVIDIA's GPUs")
    checkpoint_activations: bool = Field(
        False, description="Recompute the generator's blocks in the backward pass, to save memory"
    )
    workers: int = Field(2, ge=0, description="Processes that load images, per training process")
    trackers: Annotated[dict[str, Spec], BeforeValidator(with_types)] = Field(
        default_factory=dict,
        description="Trackers that also show the run; `type` is the name by default",
    )
    log_every: int = Field(10, gt=0, description="Steps between log entries")
    validate_every: Duration = Field(Length(1, "epochs"), description="Interval of validations")
    patience: int | None = Field(
        None, gt=0, description="Stop after this many validations without improvement"
    )
    checkpoint_every: Duration = Field(
        Length(1, "epochs"), description="Interval at which `last.safetensors` is saved"
    )
    keep_every: Duration | None = Field(
        None, description="Interval of checkpoints that are kept permanently"
    )

    @model_validator(mode="after")
    def _compiled_or_recomputed(self) -> TrainingSpec:
        if self.compile and self.checkpoint_activations:
            raise ValueError(
                "'compile' and 'checkpoint_activations' cannot be combined; remove one"
            )
        return self


class CompressionSpec(Part):
    """Compression of LR by `srkit eval --task compression`."""

    formats: list[str] = Field(
        ["jpeg", "webp", "avif"],
        min_length=1,
        description=(
            "Lossy formats; those that the installed Pillow does not support are skipped with a "
            "note"
        ),
    )
    qualities: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        [10, 25, 50, 75, 90],
        min_length=3,
        description=(
            "Qualities of the LR files; HR files get the quality that results in the same size"
        ),
    )

    @field_validator("formats", "qualities")
    @classmethod
    def _once(cls, given: list[Any]) -> list[Any]:
        """Check that no entry is repeated, since it would count twice in the curves."""
        twice = [each for place, each in enumerate(given) if each in given[:place]]
        if twice:
            raise ValueError(f"{twice[0]} is repeated; remove one")
        return given


#: A method without a network: an interpolation, or a constraint that refines the bicubic one.
Baseline = Annotated[
    Annotated[Literal["original", "nearest", "bilinear", "bicubic", "area", "lanczos"], Tag("name")]
    | Annotated[Spec, Tag("Spec")],
    Discriminator(lambda given: "name" if isinstance(given, str) else "Spec"),
]


class EvaluationSpec(Part):
    """How a run is evaluated, and what it is compared with."""

    baselines: list[Baseline] = Field(
        ["original", "bilinear", "bicubic"],
        description=(
            "Baselines in the table; a constraint, such as `{type: richardson_lucy, psf: ...}`, "
            "changes the bicubic interpolation"
        ),
    )
    models: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "Weights of other networks of the same architecture, as in `start.weights`; further "
            "rows of the table"
        ),
    )
    self_ensemble: bool = Field(
        False,
        description=(
            "Add a row for the average over flipped and rotated images, and evaluate its spread"
        ),
    )
    labels: Literal["dataset", "teacher"] = Field(
        "dataset", description="Ground truth: that of the data set, or the teacher's answers on HR"
    )
    batch_size: int = Field(8, gt=0, description="Images at a time, also in validation")
    examples: int = Field(4, ge=0, description="Test images that the report shows")
    compression: CompressionSpec = Field(
        default_factory=CompressionSpec.model_construct,
        description="Settings of `srkit eval --task compression`",
    )

    @field_validator("baselines")
    @classmethod
    def _named_once(cls, given: list[str | Spec]) -> list[str | Spec]:
        """Check that no two baselines would have the same row."""
        names = [each if isinstance(each, str) else each.type for each in given]
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            raise ValueError(f"'{twice}' is repeated; remove one")
        return given


class RangeSpec(Part):
    """The range in which a number is searched; integers between integers."""

    low: int | float = Field(
        description="The limits, inclusive; between integers, only integers are tried"
    )
    high: int | float = Field(
        description="The limits, inclusive; between integers, only integers are tried"
    )
    log: bool = Field(False, description="Search on a logarithmic scale")
    step: int | float | None = Field(None, gt=0, description="Try only `low`, `low` + `step`, ...")

    @model_validator(mode="after")
    def _ordered(self) -> RangeSpec:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}; low must be below high")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low}; must be positive for a logarithmic scale")
        if self.log and self.step is not None:
            raise ValueError("'step' and 'log' cannot be combined; remove one")
        return self


class SearchSpec(Part):
    """A search for the numbers that give the best validation."""

    trials: int = Field(gt=0, description="Number of variants to try")
    space: Annotated[dict[str, RangeSpec], BeforeValidator(without_nulls)] = Field(
        min_length=1, description="Numbers to search, and their ranges"
    )
