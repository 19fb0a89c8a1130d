"""The recipe: its schema, and how files, `extends`, `sample` and overrides become one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import yaml
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from srkit.components import Options, explain
from srkit.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Length:
    """A stretch of training.

    Parameters
    ----------
    value, unit
        So many optimiser steps, or passes over the training set.
    """

    value: float
    unit: Literal["steps", "epochs"]

    def in_steps(self, steps_per_epoch: float) -> int:
        """Count the optimiser steps, at least one."""
        steps = self.value if self.unit == "steps" else self.value * steps_per_epoch
        return max(1, round(steps))

    def __str__(self) -> str:
        # Every digit and no exponent, so that it can be read again.
        return f"{Decimal(repr(self.value)):f}".removesuffix(".0") + f" {self.unit}"


def _length(given: Any) -> Length:
    if isinstance(given, Length):
        return given
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(steps?|epochs?)?\s*", str(given))
    if match is None or float(match[1]) == 0 or isinstance(given, bool):
        raise ValueError(f"got {given!r}; expected a number of steps or, for instance, '10 epochs'")
    unit: Literal["steps", "epochs"] = "epochs" if (match[2] or "").startswith("e") else "steps"
    if unit == "steps" and not float(match[1]).is_integer():
        raise ValueError(f"got {given!r}; expected a whole number of steps")
    return Length(float(match[1]), unit)


Duration = Annotated[
    Length,
    BeforeValidator(_length),
    PlainSerializer(str),
    WithJsonSchema({"type": ["integer", "string"], "pattern": r"^\d+(\.\d+)? ?(steps?|epochs?)?$"}),
]


def _lr_side(given: str) -> str:
    """Refuse text that is no number of LR pixels."""
    if not re.fullmatch(r"[1-9]\d* LR", given):
        raise ValueError(
            f"got {given!r}; expected a number of HR pixels, or of LR pixels such as '48 LR'"
        )
    return given


Positive = Annotated[int, Field(gt=0)]

#: One scale, or several of which each step of training takes one.
Scale = Annotated[
    Annotated[Positive, Tag("int")] | Annotated[list[Positive], Field(min_length=1), Tag("list")],
    Discriminator(lambda given: "list" if isinstance(given, list) else "int"),
]

#: Side of a crop: a number of HR pixels, or such as ``48 LR``.
Crop = Annotated[
    Annotated[Positive, Tag("int")] | Annotated[str, BeforeValidator(_lr_side), Tag("str")],
    Discriminator(
        lambda given: "str" if isinstance(given, str) and not given.isdecimal() else "int"
    ),
]


def _without_nulls(given: Any) -> Any:
    """Take out what another recipe or the sample has set to null."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        return given
    return {name: entry for name, entry in given.items() if entry is not None}


def _span(given: Any) -> Any:
    if given == "always":
        return given
    try:
        return _length(given)
    except ValueError as error:
        raise ValueError(f"{error}, or 'always'") from None


#: How long a stage is frozen.
Span = Annotated[
    Length | Literal["always"],
    BeforeValidator(_span),
    PlainSerializer(str),
    WithJsonSchema({"type": ["integer", "string"]}),
]

#: Stages that are frozen for good, or how long each is.
Freeze = Annotated[
    Annotated[list[str], Tag("list")]
    | Annotated[dict[str, Span], BeforeValidator(_without_nulls), Tag("dict")],
    Discriminator(lambda given: "dict" if isinstance(given, dict) else "list"),
]


class Part(Options):
    """A part of a recipe: unknown keys and infinite numbers are refused."""

    model_config = ConfigDict(allow_inf_nan=False)


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
    """A classifier; frozen unless `trainable`."""

    trainable: bool = Field(False, description="train it too, by cross-entropy on HR and SR")
    optimiser: OptimiserSpec = OptimiserSpec.model_construct()


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
        "dataset", description="whose classes are right: the data set's, or the teacher's on HR"
    )
    batch_size: int = Field(8, gt=0)
    examples: int = Field(4, ge=0, description="test images that the report shows side by side")


def _axis(given: Any) -> Any:
    """Refuse what is no axis, in words that no union of types finds."""
    if isinstance(given, list):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(
            f"got {given!r}; expected a list of values, or names with the changes that each stands "
            "for"
        )
    chosen = {name: changes for name, changes in given.items() if changes is not None}
    for name, changes in chosen.items():
        if not isinstance(changes, Mapping):
            raise ValueError(
                f"{name} is {changes!r}; expected changes, such as {{training.batch_size: 8}}"
            )
    return chosen


Axis = Annotated[list[Any] | dict[str, dict[str, Any]], BeforeValidator(_axis)]


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
    space: Annotated[dict[str, RangeSpec], BeforeValidator(_without_nulls)] = Field(
        min_length=1, description="ranges by dotted key"
    )


class Recipe(Part):
    """A whole run."""

    name: str = Field(pattern=r"^[\w.-]+$")
    description: str = ""
    seed: int = Field(0, ge=0)
    scale: Scale = Field(4, description="side of SR over that of LR; a list trains them all")
    channels: int = Field(3, gt=0)
    needs: dict[str, str] = Field(
        default_factory=dict,
        description="recipes that are trained first; `needs.NAME` stands for the run folder",
    )
    generator: Spec | None = None
    constraint: Spec | None = Field(None, description="what SR has to keep of LR's flux")
    uncertainty: UncertaintySpec | None = Field(
        None, description="a head that predicts the variance of SR"
    )
    start: StartSpec | None = None
    degradation: Spec | None = None
    stretch: Spec | None = Field(None, description="maps flux to what networks and losses see")
    data: DataSpec = DataSpec()
    teachers: dict[str, TeacherSpec] = Field(default_factory=dict)
    losses: dict[str, LossSpec] = Field(default_factory=dict)
    discriminator: DiscriminatorSpec | None = None
    metrics: dict[str, MetricSpec] = Field(default_factory=dict)
    best: str | None = Field(None, description="the metric that chooses the best checkpoint")
    training: TrainingSpec = TrainingSpec.model_construct()
    evaluation: EvaluationSpec = EvaluationSpec.model_construct()
    variants: Annotated[dict[str, Axis], BeforeValidator(_without_nulls)] = Field(
        default_factory=dict,
        description="`srkit sweep`: axes of which every combination is trained",
    )
    repeat: str | None = Field(
        None, description="`srkit sweep`: the axis over which variants are averaged"
    )
    search: SearchSpec | None = Field(None, description="`srkit sweep`: numbers to search")
    sample: dict[str, Any] = Field(
        default_factory=dict, description="overrides for `--sample`: the same run on shipped data"
    )

    @field_validator("scale")
    @classmethod
    def _distinct(cls, given: int | list[int]) -> int | list[int]:
        if isinstance(given, list) and len(set(given)) < len(given):
            raise ValueError(f"got {given}; expected every scale once")
        return given

    @property
    def scales(self) -> tuple[int, ...]:
        """Every scale, in the order of the recipe."""
        return tuple(self.scale) if isinstance(self.scale, list) else (self.scale,)

    @model_validator(mode="before")
    @classmethod
    def _default_types(cls, given: Any) -> Any:
        """A loss or metric is named by its type; one set to null is taken out."""
        if not isinstance(given, Mapping):
            return given
        given = dict(given)
        for key in ("losses", "metrics", "teachers"):
            entries = given.get(key)
            if isinstance(entries, Mapping):
                given[key] = {
                    name: {"type": name, **spec} if isinstance(spec, Mapping) else spec
                    for name, spec in entries.items()
                    if spec is not None
                }
        return given

    def components(self) -> Iterator[tuple[str, str, Spec]]:
        """Iterate over ``(path, kind, spec)`` of every component."""
        if self.generator:
            yield "generator", "generators", self.generator
        if self.constraint:
            yield "constraint", "constraints", self.constraint
        if self.degradation:
            yield "degradation", "degradations", self.degradation
        if self.stretch:
            yield "stretch", "stretches", self.stretch
        for split in ("train", "validation", "test"):
            source: Source | None = getattr(self.data, split)
            if source:
                yield f"data.{split}.dataset", "datasets", source.dataset
                if source.mix:
                    yield f"data.{split}.mix.dataset", "datasets", source.mix.dataset
        if self.discriminator:
            yield "discriminator", "discriminators", self.discriminator
        for kind in ("teachers", "losses", "metrics"):
            entries: dict[str, Spec] = getattr(self, kind)
            yield from ((f"{kind}.{name}", kind, spec) for name, spec in entries.items())

    def dump(self) -> dict[str, Any]:
        """Convert to plain data that YAML and JSON can hold."""
        return self.model_dump(mode="json", exclude_none=True)


def load_recipe(path: str | Path, overrides: Sequence[str] = (), *, sample: bool = False) -> Recipe:
    """Read a recipe file.

    Parameters
    ----------
    path
        YAML file; its ``extends`` names another one, relative to it, that it changes.
    overrides
        ``key=value`` each; the key is a dotted path (list items by number), the value YAML.
    sample
        Apply the recipe's ``sample`` block, before the overrides.

    Returns
    -------
    Recipe
        Valid in itself; its components are checked when they are assembled.

    Raises
    ------
    RecipeError
        With everything that is wrong.
    """
    return parse_recipe(load_tree(path, overrides, sample=sample), str(path))


def load_tree(
    path: str | Path, overrides: Sequence[str] = (), *, sample: bool = False
) -> dict[str, Any]:
    """Read a recipe file as one tree, unchecked; parameters and errors as for `load_recipe`."""
    path = Path(path)
    tree = _read(path, ())
    if sample:
        if not isinstance(tree.get("sample"), Mapping):
            raise RecipeError(str(path), ["sample: missing; --sample needs this block"])
        tree = merge(tree, tree["sample"])
    return override(tree, overrides, str(path))


def parse_recipe(tree: Mapping[str, Any], source: str) -> Recipe:
    """Check a recipe that is already one tree; `source` names it in errors."""
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        faults = [problem["loc"] for problem in error.errors()]
        raise RecipeError(source, explain(error, "", Recipe), _without(tree, faults)) from None


def _without(tree: Mapping[str, Any], faults: Iterable[Sequence[str | int]]) -> Recipe | None:
    """Give the recipe without its faulty keys, if it is one then."""
    rest = deepcopy(dict(tree))
    for path in faults:
        node: Any = rest
        *parents, last = [key for key in path if isinstance(key, str)] or [""]
        for key in parents:
            if not (isinstance(node, dict) and isinstance(node.get(key), dict)):
                break
            node = node[key]
        else:
            node.pop(last, None)
    try:
        return Recipe.model_validate(rest)
    except ValidationError:
        return None


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name every value of a tree by its dotted path."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def merge(base: Any, change: Any) -> Any:
    """Lay one tree over another: mappings merge, everything else is replaced.

    A component whose `type` changes is replaced whole, since its options are another's.
    """
    if not (isinstance(base, Mapping) and isinstance(change, Mapping)):
        return change
    if "type" in change and "type" in base and change["type"] != base["type"]:
        return dict(change)
    return {**base, **{key: merge(base.get(key), value) for key, value in change.items()}}


def override(tree: Mapping[str, Any], overrides: Sequence[str], source: str) -> dict[str, Any]:
    """Change a tree by ``key=value`` each, as :func:`load_recipe` takes them.

    Raises
    ------
    RecipeError
        With every override that cannot be read; `source` names the recipe in it.
    """
    problems = []
    for text in overrides:
        try:
            tree = _override(tree, text)
        except ValueError as error:
            problems.append(f"{text}: {error}")
    if problems:
        raise RecipeError(source, problems)
    return dict(tree)


def _override(tree: Mapping[str, Any], text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key or not all(key.split(".")):
        raise ValueError("expected key=value, such as training.batch_size=8")
    try:
        change: Any = yaml.load(value, _Loader)
    except (yaml.YAMLError, ValueError):
        raise ValueError(f"'{value}' is not YAML; quote it") from None
    return set_key(tree, key, change)


def set_key(tree: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Copy a tree with the value at a dotted path replaced, or merged where it is a mapping.

    Raises
    ------
    ValueError
        If the path leads through a single value or past the end of a list.
    """
    return _set(tree, key.split("."), value)  # type: ignore[no-any-return]


def _set(node: Any, keys: Sequence[str], value: Any) -> Any:
    """Copy `node` with the value at the path `keys` replaced; mappings appear as needed."""
    if not keys:
        return merge(node, value)
    head, rest = keys[0], keys[1:]
    if isinstance(node, list):
        if not head.isdecimal() or int(head) >= len(node):
            raise ValueError(f"'{head}' is no item of a list of {len(node)}")
        return [_set(item, rest, value) if i == int(head) else item for i, item in enumerate(node)]
    if node is not None and not isinstance(node, Mapping):
        raise ValueError(f"'{head}' lies inside a single value, {node!r}")
    node = dict(node or {})
    changed = {head: _set(node.get(head), rest, value)}
    return merge(node, changed) if head == "type" else {**node, **changed}


def _read(path: Path, seen: Iterable[Path]) -> dict[str, Any]:
    """Read a file and what it extends."""
    chain = [*seen, path]
    if path.resolve() in {p.resolve() for p in seen}:
        names = " -> ".join(str(p) for p in chain)
        raise RecipeError(str(chain[0]), [f"extends: goes round in a loop: {names}"])
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        asker = f" (extended by {chain[-2]})" if len(chain) > 1 else ""
        raise RecipeError(str(path), [f"no such file{asker}"]) from None
    except OSError as error:
        raise RecipeError(str(path), [f"cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise RecipeError(str(path), [f"not text in UTF-8: {error.reason}"]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise RecipeError(str(path), [f"not valid YAML: {_where_and_why(error)}"]) from None
    if not isinstance(tree, dict):
        found = "nothing" if tree is None else f"a {type(tree).__name__}"
        raise RecipeError(str(path), [f"holds {found}; expected keys and values"])
    if isinstance(tree.get("needs"), dict):
        # Their paths are relative to the recipe that names them.
        tree["needs"] = {
            name: str(path.parent / need) if isinstance(need, str) else need
            for name, need in tree["needs"].items()
        }
    base = tree.pop("extends", None)
    if base is None:
        return tree
    if not isinstance(base, str):
        raise RecipeError(str(path), [f"extends: got {base!r}; expected the path of a recipe"])
    return dict(merge(_read(path.parent / base, chain), tree))


def _where_and_why(error: yaml.YAMLError | ValueError) -> str:
    """Word a mistake in YAML without PyYAML's copy of the text."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"character {error.position + 1}: {error.reason}"
    return str(error)


class _Loader(yaml.SafeLoader):
    """YAML as srkit reads it: a key is text and stands once; ``1e-4`` is a number, a date text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                self._refuse(key, "this key is no text; quote it")
            if key.value in keys:
                self._refuse(key, f"the key '{key.value}' is given twice")
            keys.add(key.value)
        return super().construct_mapping(node, deep)

    @staticmethod
    def _refuse(node: yaml.Node, problem: str) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in known if tag != "tag:yaml.org,2002:timestamp"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)
