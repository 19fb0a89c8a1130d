"""Optimisers, learning-rate schedules and trackers of training."""

from srkit import hookimpl

SRKIT_API = 1


@hookimpl
def srkit_optimisers() -> dict[str, str]:
    """Return the optimisers."""
    return {
        "adam": "srkit_training.optimisers:adam",
        "adamw": "srkit_training.optimisers:adamw",
        "adan": "srkit_training.more_optimisers:adan",
        "lion": "srkit_training.optimisers:lion",
        "muon": "srkit_training.more_optimisers:muon",
        "prodigy": "srkit_training.more_optimisers:prodigy",
        "pytorch_optimizer": "srkit_training.more_optimisers:pytorch_optimizer",
        "schedule_free": "srkit_training.more_optimisers:schedule_free",
        "sgd": "srkit_training.optimisers:sgd",
        "soap": "srkit_training.more_optimisers:soap",
    }


@hookimpl
def srkit_schedules() -> dict[str, str]:
    """Return the schedules of the learning rate."""
    return {
        "constant": "srkit_training.schedules:Constant",
        "cosine": "srkit_training.schedules:Cosine",
        "cosine_restarts": "srkit_training.schedules:CosineRestarts",
        "linear": "srkit_training.schedules:Linear",
        "one_cycle": "srkit_training.schedules:OneCycle",
        "steps": "srkit_training.schedules:Steps",
    }


@hookimpl
def srkit_trackers() -> dict[str, str]:
    """Return the trackers."""
    return {
        "aim": "srkit_training.trackers:aim",
        "comet": "srkit_training.trackers:comet",
        "mlflow": "srkit_training.trackers:mlflow",
        "tensorboard": "srkit_training.trackers:tensorboard",
        "wandb": "srkit_training.trackers:wandb",
    }
