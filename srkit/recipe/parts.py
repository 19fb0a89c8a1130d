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
_FIRST: dict[str, Any] = {"from": (float, 0.0)}
_From: Any = create_model("_From", __base__=Part, **_FIRST)


class WeightSpec(_From):  # type: ignore[misc]
    """A weight that changes linearly from one value to another."""

    to: float
    start: Duration | None = Field(None, description="when it begins to change; at once by default")
    over: Duration | None = Field(None, description="for how long it changes; by default a jump")

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

    weight: Weight = 1.0
    teacher: str | None = Field(None, description="the teacher to use, if there are several")


class MetricSpec(Spec):
    """A metric; its type defaults to its name in the recipe."""

    teacher: str | None = Field(None, description="the teacher to use, if there are several")


class TeacherSpec(Spec):
    """A network that analyses images; frozen unless `trainable`."""

    trainable: bool = Field(False, description="train it, too, by cross-entropy on HR and SR")
    optimiser: OptimiserSpec = OptimiserSpec.model_construct()
    answers: Literal["keep", "compute"] = Field(
        "keep",
        description="on HR: keep them on disk if HR never changes, or do not",
    )


class GameSpec(Spec):
    """An adversarial game; its name alone is enough if it needs no options."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"type": given} if isinstance(given, str) else given


class DiscriminatorSpec(Spec):
    """A discriminator and its adversarial loss."""

    weights: str | None = Field(None, description="trained weights: a file or a run folder")
    loss: GameSpec = Field(
        default_factory=lambda: GameSpec(type="vanilla"), description="the adversarial game"
    )
    weight: Weight = 1e-3
    optimiser: OptimiserSpec = OptimiserSpec.model_construct()

    @field_validator("weight")
    @classmethod
    def _not_negative(cls, given: float | WeightSpec) -> float | WeightSpec:
        smallest = min(given.values if isinstance(given, WeightSpec) else (given,))
        if smallest < 0:
            raise ValueError(f"got {smallest}; expected a number greater than or equal to 0")
        return given


class UncertaintySpec(Part):
    """A head of the generator that predicts the variance of SR."""

    type: Literal["gaussian"] = "gaussian"
    features: int = Field(32, gt=0, description="channels between the head's convolutions")
    optimiser: OptimiserSpec | None = Field(None, description="the generator's by default")


def _name_as_spec(given: Any) -> Any:
    """Accept the name of a component in place of the component without options."""
    return {"type": given} if isinstance(given, str) else given


def _spec_as_name(spec: Spec, dump: SerializerFunctionWrapHandler) -> Any:
    return dump(spec) if spec.options else spec.type


#: A component by its name, or with options.
NamedSpec = Annotated[Spec, BeforeValidator(_name_as_spec), WrapSerializer(_spec_as_name)]


class MixSpec(Part):
    """Images mixed into the training data, such as simulated pairs into few real ones."""

    dataset: Spec
    share: float = Field(gt=0, lt=1, description="probability that a sample is drawn from here")


class Source(Part):
    """A data set, and how its images are cropped."""

    dataset: Spec
    mix: MixSpec | None = Field(None, description="`train`: other images that are mixed in")
    crop: Crop | None = Field(
        None, description="side of the random crop in HR pixels, or in LR pixels as in '48 LR'"
    )
    augment: list[NamedSpec] = Field(
        default_factory=list, description="`train`: random changes, applied in order"
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

    train: Source | None = None
    validation: Sources | None = None
    test: Sources | None = None

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

    weights: str = Field(description="a weight file, a run folder, or published weights")
    take: Literal["generator", "networks", "all"] = Field(
        "generator",
        description="of a run: its generator as it is used, or all networks and the average, or "
        "the state of the optimisers, too",
    )
    reinitialise: list[str] = Field(
        default_factory=list, description="patterns of keys that may differ and are reinitialised"
    )
    freeze: Freeze = Field(
        default_factory=list,
        description="stages of the generator to freeze, or how long each",
    )
    l2_sp: float | None = Field(
        None, gt=0, description="penalty on departing from the start: L2-SP's α"
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

    duration: Duration = Length(1, "epochs")
    batch_size: int = Field(16, gt=0, description="images per step, over all processes")
    accumulate: int = Field(1, gt=0, description="parts of a step, to save memory")
    optimiser: OptimiserSpec = OptimiserSpec.model_construct()
    schedule: ScheduleSpec = ScheduleSpec.model_construct()
    clip: float | None = Field(None, gt=0, description="largest gradient norm")
    ema: float | None = Field(None, gt=0, lt=1, description="decay of averaged weights")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="of the networks; auto: what the device computes fastest"
    )
    compile: bool | CompileMode = Field(False, description="by torch.compile, in one of its modes")
    deterministic: bool = Field(False, description="the same bits in every run on one device")
    tf32: bool | None = Field(
        None, description="fp32 by TF32 on NVIDIA's GPUs; torch's choice by default"
    )
    checkpoint_activations: bool = Field(
        False, description="recompute the generator's blocks in the backward pass, to save memory"
    )
    workers: int = Field(2, ge=0)
    trackers: Annotated[dict[str, Spec], BeforeValidator(with_types)] = Field(
        default_factory=dict, description="where else to show the run"
    )
    log_every: int = Field(10, gt=0, description="steps between log entries")
    validate_every: Duration = Length(1, "epochs")
    patience: int | None = Field(
        None, gt=0, description="stop after this many validations without improvement"
    )
    checkpoint_every: Duration = Length(1, "epochs")
    keep_every: Duration | None = Field(None, description="interval of checkpoints to keep")

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
        ["jpeg", "webp", "avif"], min_length=1, description="lossy image formats"
    )
    qualities: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        [10, 25, 50, 75, 90], min_length=3, description="qualities of the LR files, from 1 to 100"
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
        description="interpolations, or constraints that refine the bicubic one",
    )
    models: dict[str, str] = Field(
        default_factory=dict, description="weights of other networks of this architecture, by name"
    )
    self_ensemble: bool = Field(
        False, description="also evaluate the average over flipped and rotated images"
    )
    labels: Literal["dataset", "teacher"] = Field(
        "dataset", description="ground truth: that of the data set, or the teacher's answer on HR"
    )
    batch_size: int = Field(8, gt=0)
    examples: int = Field(4, ge=0, description="test images that the report shows")
    compression: CompressionSpec = Field(
        default_factory=CompressionSpec.model_construct,
        description="`srkit eval --task compression`: LR files, and HR files of equal size",
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

    low: int | float
    high: int | float
    log: bool = Field(False, description="search on a logarithmic scale")
    step: int | float | None = Field(None, gt=0, description="only low, low + step, ...")

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

    trials: int = Field(gt=0, description="variants to try")
    space: Annotated[dict[str, RangeSpec], BeforeValidator(without_nulls)] = Field(
        min_length=1, description="ranges by dotted key"
    )
