"""Search the numbers of a recipe for those with which validation is best, with Optuna.

Optuna proposes the numbers of each trial from what the trials before it reached: the
tree-structured Parzen estimator (Bergstra et al. 2011), after ten trials at random. It keeps them
in an SQLite file, so that a search that was stopped goes on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from srkit.errors import RecipeError, TrainingError
from srkit.recipe.parts import RangeSpec, SearchSpec
from srkit.recipe.variants import COMMON, Variant
from srkit.report.metric_info import MetricInfo
from srkit.studies.sweeps.measure import NOT_YET, Interrupted, Watch, failure, only_sweep, show
from srkit.studies.sweeps.results import Outcome, Sweep, read_outcome
from srkit.studies.sweeps.tasks import Setting, Task, plan
from srkit.system.extras import needs
from srkit.system.processes.children import Job, run_jobs
from srkit.weights.checkpoints import read_state

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

FILE = "search.db"
NEVER = "was never measured on the validation images"


def plan_search(setting: Setting) -> MetricInfo:
    """Check a search by building the recipe at both ends of every range.

    Returns
    -------
    MetricInfo
        What is to be the best on the validation images.

    Raises
    ------
    PluginError
        If Optuna is not installed.
    RecipeError
        With everything that is wrong.
    """
    with needs("optuna", "search"):
        import optuna  # noqa: F401 - told before anything is trained
    base, source = setting.base, setting.source
    spec = _spec(setting)
    problems = [
        f"search.space: '{key}' is not searched; take it out"
        for key in spec.space
        if key.partition(".")[0] in COMMON
    ]
    if base.variants:
        problems.append("variants: a search has its own; take out either")
    if base.data.validation is None:
        problems.append("data.validation: missing; a search compares its trials on it")
    if problems:
        raise RecipeError(source, problems)
    ends = {
        "lowest": {key: space.low for key, space in spec.space.items()},
        "highest": {key: space.high for key, space in spec.space.items()},
    }
    tasks = plan([_variant(name, numbers) for name, numbers in ends.items()], setting)
    metrics = tasks[0].metrics
    return next((metric for metric in metrics if metric.name == base.best), metrics[0])


def search(setting: Setting, *, processes: int, console: Console) -> Sweep:
    """Train trial after trial, each a variant with numbers that Optuna proposes, and compare them.

    Parameters
    ----------
    setting
        Its recipe has `search`; its folder gets what a sweep's does, and ``search.db``.
    processes
        Trials at a time.
    console
        Where to show progress and the table.

    Raises
    ------
    Interrupted
        After SIGINT or SIGTERM; the trials in progress go on with the next call.
    SrkitError
        If the recipe cannot be searched, or the folder holds another search.
    """
    objective = plan_search(setting)
    spec, folder = _spec(setting), setting.folder
    with only_sweep(folder):
        trials = Trials(setting, objective)
        with Watch(console, spec.trials) as watch:

            def ended(job: Job, status: int) -> None:
                trials.end(job.name, failure(job.output, status))
                watch.ended(job, trials.reasons[job.name])

            for task in trials.done():
                watch.kept(task, trials.reasons[task.name])
            jobs = watch.started(trials.pending(spec.trials))
            number = run_jobs(jobs, processes, ended=ended, watch=watch.look)
        found = Sweep(
            setting.base.name,
            trials.metrics,
            trials.outcomes(),
            objective=objective,
            logarithmic=[key for key, space in spec.space.items() if space.log],
        )
        show(found, folder, console)
    if number:
        done = len(found.outcomes) - len(found.missing())
        raise Interrupted(number, done, spec.trials)
    return found


class Trials:
    """The trials of a search: proposed by Optuna, trained as variants ``trial-000`` and so on.

    Parameters
    ----------
    setting
        Its recipe has `search`.
    objective
        What is to be the best.
    """

    def __init__(self, setting: Setting, objective: MetricInfo) -> None:
        self._setting, self._objective = setting, objective
        self._study = _open(setting, objective)
        self._tasks: dict[str, Task] = {}
        self.reasons: dict[str, str] = {}
        self.metrics: list[MetricInfo] = []
        known = self._study.get_trials(deepcopy=False)
        found = [trial for trial in known if not self._unusable(trial)]
        self._take({trial.number: trial.params for trial in found})
        for trial in found:
            task = self._tasks[_name(trial.number)]
            if trial.state.is_finished():
                self.reasons[task.name] = _reason(task, objective)

    def _unusable(self, trial: FrozenTrial) -> bool:
        """Tell whether no recipe could be made of what was proposed."""
        recipe = self._setting.folder / "recipes" / f"{_name(trial.number)}.yaml"
        return trial.state.is_finished() and not recipe.is_file()

    def _take(self, trials: Mapping[int, Mapping[str, Any]]) -> list[Task]:
        variants = [_variant(_name(number), numbers) for number, numbers in trials.items()]
        tasks = plan(variants, self._setting)
        self._tasks |= {task.name: task for task in tasks}
        for task in tasks:
            self.metrics = self.metrics or task.metrics
        return tasks

    def done(self) -> list[Task]:
        """List the trials that need no training, those that failed among them."""
        for name, task in self._tasks.items():
            if name not in self.reasons and task.finished():
                self.end(name, "")
        return [self._tasks[name] for name in self.reasons]

    def pending(self, total: int) -> Iterator[Task]:
        """Iterate over those that were stopped, and over new ones until there are `total`."""
        from optuna.trial import TrialState

        yield from [task for name, task in self._tasks.items() if name not in self.reasons]
        while len(self._tasks) < total:
            self._study.sampler = _sampler(self._setting.base.seed + len(self._tasks))
            trial = self._study.ask(_distributions(_spec(self._setting)))
            try:
                taken = self._take({trial.number: trial.params})
            except RecipeError:
                self._study.tell(trial, state=TrialState.FAIL)
                raise
            yield from taken

    def end(self, name: str, reason: str) -> None:
        """Tell Optuna what a trial reached, or that it failed."""
        from optuna.trial import TrialState

        value = _validated(self._tasks[name])
        if not reason and math.isnan(value):
            reason = f"{self._objective.name} {NEVER}"
        number = int(name.rpartition("-")[2])
        if reason:
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, value)
        self.reasons[name] = reason

    def outcomes(self) -> list[Outcome]:
        """Give what became of all trials so far."""
        return [
            read_outcome(task.variant, task.run, self.reasons.get(name, NOT_YET), _validated(task))
            for name, task in self._tasks.items()
        ]


def _open(setting: Setting, objective: MetricInfo) -> Study:
    """Open the folder's search, or start it; refuse another one's."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=setting.base.name,
        storage=f"sqlite:///{setting.folder / FILE}",
        direction="maximize" if objective.higher_is_better else "minimize",
        load_if_exists=True,
    )
    asked = json.dumps(
        {"metric": objective.name, "space": _spec(setting).model_dump(mode="json")["space"]}
    )
    begun = study.user_attrs.get("asked", asked)
    if begun != asked:
        raise TrainingError(
            f"{setting.folder}: holds a search of {begun}, not of {asked}; choose another --out"
        )
    study.set_user_attr("asked", asked)
    return study


def _sampler(seed: int) -> Any:
    """Make what proposes a trial; chance is a function of the trial, so none is proposed again."""
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed)


def _distributions(spec: SearchSpec) -> dict[str, BaseDistribution]:
    return {key: _distribution(space) for key, space in spec.space.items()}


def _distribution(space: RangeSpec) -> BaseDistribution:
    """Give Optuna's range: of whole numbers if both ends are."""
    from optuna.distributions import FloatDistribution, IntDistribution

    if isinstance(space.low, int) and isinstance(space.high, int):
        return IntDistribution(space.low, space.high, log=space.log, step=int(space.step or 1))
    return FloatDistribution(space.low, space.high, log=space.log, step=space.step)


def _spec(setting: Setting) -> SearchSpec:
    assert setting.base.search is not None
    return setting.base.search


def _name(number: int) -> str:
    return f"trial-{number:03d}"


def _variant(name: str, numbers: Mapping[str, Any]) -> Variant:
    return Variant(name, name, {}, dict(numbers))


def _validated(task: Task) -> float:
    """Read the best value on the validation images; NaN if there is none."""
    state = read_state(task.last) if task.last.is_file() else None
    best = None if state is None or state["best"] is None else state["best"][0]
    return math.nan if best is None else float(best)


def _reason(task: Task, objective: MetricInfo) -> str:
    """Say why a trial that has ended has no value."""
    if not task.table.is_file():
        return failure(task.output, status=1)
    return f"{objective.name} {NEVER}" if math.isnan(_validated(task)) else ""
