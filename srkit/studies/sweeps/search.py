"""Search the values of a recipe that are best on the validation images, with Optuna.

Optuna proposes the values of each trial from the results of the trials before it, by the
tree-structured Parzen estimator (Bergstra et al. 2011), after ten random trials. The trials are
stored in an SQLite file, so that a search can be resumed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from srkit.errors import RecipeError, TrainingError
from srkit.recipe.parts import RangeSpec, SearchSpec
from srkit.recipe.variants import COMMON, Variant
from srkit.report._metric_info import MetricInfo
from srkit.studies.sweeps.measure import failure
from srkit.studies.sweeps.results import Sweep
from srkit.studies.sweeps.runs import RunQueue, SweepSetup, VariantRun, prepare_runs
from srkit.system.extras import needs

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

FILE = "search.db"


class TrialQueue(RunQueue):
    """The trials of a search, which are trained as variants ``trial-000`` and so on.

    The search is checked by building the recipe at both ends of every range.

    Parameters
    ----------
    setup
        Its recipe has `search`.

    Attributes
    ----------
    objective
        The metric that is optimised on the validation images.

    Raises
    ------
    PluginError
        If Optuna is not installed.
    RecipeError
        With everything that is wrong with the recipe.
    """

    def __init__(self, setup: SweepSetup) -> None:
        super().__init__(setup)
        with needs("optuna", "search"):
            import optuna  # noqa: F401 - so that this fails before anything is trained
        assert setup.base.search is not None
        self.search: SearchSpec = setup.base.search
        self.total = self.search.trials
        self.objective = _check(self.search, setup)

    def open(self) -> None:
        """Open the study of the folder, or create it.

        Raises
        ------
        TrainingError
            If it is the study of another search.
        """
        self._study = _open_study(self.search, self.objective, self.setup)
        trials = [
            trial for trial in self._study.get_trials(deepcopy=False) if not self._invalid(trial)
        ]
        self._prepare({trial.number: trial.params for trial in trials})
        for trial in trials:
            run = self.runs[_name(trial.number)]
            if trial.state.is_finished():
                failed = "" if run.table.is_file() else failure(run.output, status=1)
                self.reasons[run.name] = self._reason(run, failed)
            elif run.finished():
                self.end(run.name, "")

    def pending(self) -> Iterator[VariantRun]:
        """Iterate over trials that were stopped, then over new ones."""
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        yield from super().pending()
        space = {key: _distribution(values) for key, values in self.search.space.items()}
        while len(self.runs) < self.total:
            # The seed differs between trials, so that a resumed search proposes new values.
            self._study.sampler = TPESampler(seed=self.setup.base.seed + len(self.runs))
            trial = self._study.ask(space)
            try:
                runs = self._prepare({trial.number: trial.params})
            except RecipeError:
                self._study.tell(trial, state=TrialState.FAIL)
                raise
            yield from runs

    def end(self, name: str, reason: str) -> None:
        """Tell Optuna the value of a trial, or that it failed."""
        from optuna.trial import TrialState

        run, number = self.runs[name], int(name.rpartition("-")[2])
        self.reasons[name] = self._reason(run, reason)
        if self.reasons[name]:
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, run.validated())

    def results(self) -> Sweep:
        """Read the results of all trials."""
        logarithmic = [key for key, values in self.search.space.items() if values.log]
        return replace(
            super().results(), repeat=None, objective=self.objective, logarithmic=logarithmic
        )

    def _prepare(self, trials: Mapping[int, Mapping[str, Any]]) -> list[VariantRun]:
        variants = [_variant(_name(number), values) for number, values in trials.items()]
        runs = prepare_runs(variants, self.setup)
        self.runs |= {run.name: run for run in runs}
        return runs

    def _invalid(self, trial: FrozenTrial) -> bool:
        """Return whether the proposed values did not result in a valid recipe."""
        recipe = self.setup.folder / "recipes" / f"{_name(trial.number)}.yaml"
        return trial.state.is_finished() and not recipe.is_file()

    def _reason(self, run: VariantRun, failed: str) -> str:
        """Return why a trial has no value; empty if it has one."""
        if not failed and math.isnan(run.validated()):
            return f"{self.objective.name} was never measured on the validation images"
        return failed


def _check(search: SearchSpec, setup: SweepSetup) -> MetricInfo:
    """Check the recipe of a search, and return its objective."""
    base = setup.base
    problems = [
        f"search.space: '{key}' cannot be searched; remove it"
        for key in search.space
        if key.partition(".")[0] in COMMON
    ]
    if base.variants:
        problems.append("variants: cannot be combined with search; remove one")
    if base.data.validation is None:
        problems.append("data.validation: missing; a search compares its trials on it")
    if problems:
        raise RecipeError(setup.source, problems)
    lowest = _variant("lowest", {key: values.low for key, values in search.space.items()})
    highest = _variant("highest", {key: values.high for key, values in search.space.items()})
    run = prepare_runs([lowest, highest], setup)[0]
    assert run.recipe.selecting is not None
    name, _ = run.recipe.selecting
    # The metrics of a run also name a test set or a scale.
    begin = (f"{name} ", f"{name}/")
    metric = next(each for each in run.metrics if f"{each.name} ".startswith(begin))
    return replace(metric, name=name)


def _open_study(search: SearchSpec, objective: MetricInfo, setup: SweepSetup) -> Study:
    import optuna
    from sqlalchemy.pool import NullPool

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Without a pool, no connection keeps the file open until it is collected as garbage.
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{setup.folder / FILE}", engine_kwargs={"poolclass": NullPool}
    )
    study = optuna.create_study(
        study_name=setup.base.name,
        storage=storage,
        direction="maximize" if objective.higher_is_better else "minimize",
        load_if_exists=True,
    )
    space = search.model_dump(mode="json")["space"]
    requested = json.dumps({"metric": objective.name, "space": space})
    recorded = study.user_attrs.get("asked", requested)
    if recorded != requested:
        raise TrainingError(
            f"{setup.folder}: contains a search of {recorded}, not of {requested}; choose another "
            "--out"
        )
    study.set_user_attr("asked", requested)
    return study


def _distribution(space: RangeSpec) -> BaseDistribution:
    """Return the range for Optuna, of integers if both ends are integers."""
    from optuna.distributions import FloatDistribution, IntDistribution

    if isinstance(space.low, int) and isinstance(space.high, int):
        return IntDistribution(space.low, space.high, log=space.log, step=int(space.step or 1))
    return FloatDistribution(space.low, space.high, log=space.log, step=space.step)


def _name(number: int) -> str:
    return f"trial-{number:03d}"


def _variant(name: str, values: Mapping[str, Any]) -> Variant:
    return Variant(name, name, {}, dict(values))
