"""The parts of a recipe, each with its keys: components, data, training, evaluation, search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)

from srkit.components.options import Options
from srkit.recipe.values import Crop, Duration, Freeze, Length, Span, without_nulls


class Part(Options):
    """A part of a recipe: unknown keys and infinite numbers are refused."""

    model_config = ConfigDict(allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absence(cls, given: Any) -> Any:
        """Give a key that is null its default back, unless null is a value of it."""
        if not isinstance(given, Mapping):
            return given
        return {key: value for key, value in given.items() if value is not None or cls._may(key)}

    @classmethod
    def _may(cls, key: str) -> bool:
        """Tell whether a key may be null, or is refused elsewhere: unknown, or without default."""
        known = cls.model_fields.get(key)
        return known is None or known.is_required() or type(None) in get_args(known.annotation)


class Spec(Options):
    """A component: its name, and options that its factory declares."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    type: str

    @property
    def options(self) -> dict[str, Any]:
        """What the recipe sets of the component's own options."""
        return dict(self.model_extra or {})

    @model_serializer(mode="wrap")
    def _keep_null_options(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write an option that is null: its default may be something else."""
        return {**dict.fromkeys(["type", *self.options]), **dump(self)}


#: One component, or several that are applied in order.
Steps = Annotated[
    Annotated[Spec, Tag("Spec")] | Annotated[list[Spec], Field(min_length=1), Tag("list")],
    Discriminator(lambda given: "list" if isinstance(given, list) else "Spec"),
]


class OptimiserSpec(Part):
    """An optimiser by name.

    Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019), SGD, Lion (Chen et al. 2023).
    """

    type: Literal["adam", "adamw", "sgd", "lion"] = "adam"
    lr: float = Field(1e-4, gt=0)
    betas: tuple[float, float] | None = None
    eps: float | None = Field(None, gt=0)
    momentum: float | None = Field(None, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _applicable(self) -> OptimiserSpec:
        foreign = {"sgd": ("betas", "eps"), "lion": ("eps", "momentum")}.get(
            self.type, ("momentum",)
        )
        for name in foreign:
            if getattr(self, name) is not None:
                raise ValueError(f"'{name}' is no option of {self.type}; remove it")
        return self


class ScheduleSpec(Part):
    """How the learning rate changes; always a pure function of the step."""

    type: Literal["constant", "steps", "cosine"] = "constant"
    warmup: int = Field(0, ge=0, description="steps of linear rise from 0")
    every: Duration | None = Field(None, description="`steps`: multiply by gamma this often")
    milestones: list[Duration] | None = Field(None, description="`steps`: multiply by gamma then")
    gamma: float = Field(0.5, gt=0, le=1)
    minimum: float = Field(0.0, ge=0, le=1, description="`cosine`: last factor")

    @model_validator(mode="after")
    def _complete(self) -> ScheduleSpec:
        if self.type == "steps" and (self.every is None) == (self.milestones is None):
            raise ValueError("a schedule of type 'steps' needs either 'every' or 'milestones'")
        return self


class LossSpec(Spec):
    """A loss; its name in the recipe is its type unless `type` is given."""

    weight: float = 1.0
    teacher: str | None = Field(None, description="whose answers it compares, if there are several")


class MetricSpec(Spec):
    """A metric; its name in the recipe is its type unless `type` is given."""

    teacher: str | None = Field(None, description="whose answers it compares, if there are several")


class TeacherSpec(Spec):
    """A network that judges images; frozen unless `trainable`."""

    trainable: bool = Field(False, description="train it too, by cross-entropy on HR and SR")
    optimiser: OptimiserSpec = OptimiserSpec.model_construct()
    answers: Literal["keep", "compute"] = Field(
        "keep", description="on HR: keep them on disk where HR is always the same, or do not"
    )


class DiscriminatorSpec(Spec):
    """A discriminator and its game with the generator."""

    loss: Literal["vanilla", "least_squares", "hinge", "relativistic"] = "vanilla"
    weight: float = Field(1e-3, ge=0)
    optimiser: OptimiserSpec = OptimiserSpec.model_construct()


class UncertaintySpec(Part):
    """A head beside the generator that predicts the variance of SR."""

    type: Literal["gaussian"] = "gaussian"
    features: int = Field(32, gt=0, description="channels between the head's convolutions")
    optimiser: OptimiserSpec | None = Field(None, description="the generator's by default")


class MixSpec(Part):
    """Other images among those of training, such as simulated pairs among few real ones."""

    dataset: Spec
    share: float = Field(gt=0, lt=1, description="odds that a sample is drawn from here")


class Source(Part):
    """Where images come from, and how they are cut."""

    dataset: Spec
    mix: MixSpec | None = Field(None, description="`train`: other images among these")
    crop: Crop | None = Field(
        None, description="side of the random crop in HR pixels, or in LR pixels such as '48 LR'"
    )
    augment: list[Literal["flip", "rotate"]] = Field(default_factory=list)

    def hr_crop(self, scale: int) -> int | None:
        """Give the side of the crop in HR pixels; None for whole images."""
        if isinstance(self.crop, str):
            return scale * int(self.crop.removesuffix(" LR"))
        return self.crop


class DataSpec(Part):
    """The data of a run."""

    train: Source | None = None
    validation: Source | None = None
    test: Source | None = None


class StartSpec(Part):
    """Where training starts."""

    weights: str = Field(description="a weight file, a run folder, or a published name")
    reinitialise: list[str] = Field(
        default_factory=list, description="patterns of keys that may differ and start afresh"
    )
    freeze: Freeze = Field(
        default_factory=list, description="stages of the generator, or how long each is frozen"
    )
    l2_sp: float | None = Field(None, gt=0, description="penalty on leaving the start: L2-SP's α")

    @property
    def frozen(self) -> dict[str, Span]:
        """How long each stage is frozen, by patterns of their names."""
        return (
            dict(self.freeze)
            if isinstance(self.freeze, dict)
            else dict.fromkeys(self.freeze, "always")
        )


class TrainingSpec(Part):
    """How long, how fast and how precisely to train."""

    duration: Duration = Length(1, "epochs")
    batch_size: int = Field(16, gt=0, description="images a step, over all processes")
    accumulate: int = Field(1, gt=0, description="parts a step is computed in, to save memory")
    optimiser: OptimiserSpec = OptimiserSpec.model_construct()
    schedule: ScheduleSpec = ScheduleSpec.model_construct()
    clip: float | None = Field(None, gt=0, description="largest gradient norm")
    ema: float | None = Field(None, gt=0, lt=1, description="decay of averaged weights")
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    compile: bool = False
    workers: int = Field(2, ge=0)
    log_every: int = Field(10, gt=0, description="steps between log lines")
    validate_every: Duration = Length(1, "epochs")
    patience: int | None = Field(
        None, gt=0, description="stop after so many validations without a new best"
    )
    checkpoint_every: Duration = Length(1, "epochs")
    keep_every: Duration | None = Field(None, description="keep a checkpoint for good this often")


class CompressionSpec(Part):
    """What `srkit eval --task compression` compresses LR with."""

    formats: list[str] = Field(
        ["jpeg", "webp", "avif"], min_length=1, description="image formats that lose something"
    )
    qualities: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        [10, 25, 50, 75, 90], min_length=3, description="of LR's files, from 1 to 100"
    )

    @field_validator("formats", "qualities")
    @classmethod
    def _once(cls, given: list[Any]) -> list[Any]:
        """Refuse what stands twice: it would count twice in the curves."""
        twice = [each for place, each in enumerate(given) if each in given[:place]]
        if twice:
            raise ValueError(f"{twice[0]} stands twice; leave one out")
        return given


class EvaluationSpec(Part):
    """What a run is compared with."""

    baselines: list[Literal["original", "nearest", "bilinear", "bicubic", "area", "lanczos"]] = (
        Field(["original", "bilinear", "bicubic"])
    )
    models: dict[str, str] = Field(
        default_factory=dict, description="weights of other networks of this architecture, by name"
    )
    self_ensemble: bool = Field(
        False, description="show the network's average over mirrored and turned images, too"
    )
    labels: Literal["dataset", "teacher"] = Field(
        "dataset", description="whose truth is right: the data set's, or the teacher's answer on HR"
    )
    batch_size: int = Field(8, gt=0)
    examples: int = Field(4, ge=0, description="test images that the report shows side by side")
    compression: CompressionSpec = Field(
        default_factory=CompressionSpec.model_construct,
        description="`srkit eval --task compression`: LR's files, and HR's of the same bytes",
    )


class RangeSpec(Part):
    """Where a number is searched; between whole numbers, a whole number."""

    low: int | float
    high: int | float
    log: bool = Field(False, description="search the logarithm")
    step: int | float | None = Field(None, gt=0, description="only low, low + step, ...")

    @model_validator(mode="after")
    def _ordered(self) -> RangeSpec:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}; expected low below high")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low}; expected more than 0 for a logarithm")
        if self.log and self.step is not None:
            raise ValueError("'step' and 'log' exclude each other; remove one")
        return self


class SearchSpec(Part):
    """A search for the numbers with which validation is best."""

    trials: int = Field(gt=0, description="variants to try")
    space: Annotated[dict[str, RangeSpec], BeforeValidator(without_nulls)] = Field(
        min_length=1, description="ranges by dotted key"
    )
