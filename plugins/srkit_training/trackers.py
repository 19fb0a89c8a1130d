"""Trackers, by the classes of Accelerate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from accelerate import tracking

from srkit.errors import TrainingError
from srkit.interfaces import Tracker
from srkit.system import needs


class AccelerateTracker:
    """A tracker of Accelerate.

    Parameters
    ----------
    name
        Names it in errors.
    make
        Builds it from the name and the folder of a run.
    """

    def __init__(self, name: str, make: Callable[[str, Path], Any]) -> None:
        self.name, self.make = name, make
        self.tracker: Any = None

    def start(self, name: str, folder: Path, settings: Mapping[str, Any]) -> None:
        """Begin to track a run."""
        try:
            self.tracker = self.make(name, folder)
            if hasattr(self.tracker, "start"):  # older versions of Accelerate start at once
                self.tracker.start()
            self.tracker.store_init_configuration(dict(settings))
        except Exception as error:  # each service has its own
            raise TrainingError(
                f"training.trackers: {self.name} cannot start ({type(error).__name__}: {error}); "
                "log in there, or remove it"
            ) from error

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record the values after a step."""
        self.tracker.log(dict(values), step=step)

    def finish(self) -> None:
        """End the tracking."""
        self.tracker.finish()


def tensorboard(*, folder: Path) -> Tracker:
    """TensorBoard in a folder that several runs share; each run also has its own.

    Parameters
    ----------
    folder
        The folder; each run has a folder in it.
    """
    return AccelerateTracker(
        "tensorboard", lambda name, _: tracking.TensorBoardTracker(name, logging_dir=folder)
    )


def wandb(
    *,
    project: str = "srkit",
    entity: str | None = None,
    tags: tuple[str, ...] = (),
    mode: Literal["online", "offline", "disabled"] = "online",
) -> Tracker:
    """Weights & Biases.

    Parameters
    ----------
    project
        Name of the project.
    entity
        User or team; the default of the account if omitted.
    tags
        Tags of the run.
    mode
        Whether to send the values, to keep them for ``wandb sync``, or neither.
    """
    with needs("wandb", "wandb"):
        import wandb  # noqa: F401
    return AccelerateTracker(
        "wandb",
        lambda name, folder: tracking.WandBTracker(
            project, name=name, dir=str(folder), entity=entity, tags=list(tags), mode=mode
        ),
    )


def mlflow(*, experiment: str = "srkit", uri: str | None = None) -> Tracker:
    """MLflow.

    Parameters
    ----------
    experiment
        Name of the experiment.
    uri
        Address of the server, or a folder; that of ``MLFLOW_TRACKING_URI`` if omitted.
    """
    with needs("mlflow", "mlflow"):
        import mlflow

    def make(name: str, _: Path) -> Any:
        if uri is not None:
            mlflow.set_tracking_uri(uri)
        return tracking.MLflowTracker(experiment, run_name=name)

    return AccelerateTracker("mlflow", make)


def aim(*, repo: str = ".", experiment: str = "srkit") -> Tracker:
    """Aim.

    Parameters
    ----------
    repo
        Folder or address of the repository.
    experiment
        Name of the experiment.
    """
    with needs("aim", "aim"):
        import aim  # noqa: F401
    return AccelerateTracker(
        "aim", lambda name, _: tracking.AimTracker(name, logging_dir=repo, experiment=experiment)
    )


def comet(*, project: str = "srkit", workspace: str | None = None, online: bool = True) -> Tracker:
    """Comet.

    Parameters
    ----------
    project
        Name of the project.
    workspace
        Workspace of the project; the default of the account if omitted.
    online
        Whether to send the values, or to keep them for ``comet upload``.
    """
    with needs("comet_ml", "comet"):
        import comet_ml

    def make(name: str, _: Path) -> Any:
        config = comet_ml.ExperimentConfig(name=name)
        return tracking.CometMLTracker(
            project, workspace=workspace, online=online, experiment_config=config
        )

    return AccelerateTracker("comet", make)
