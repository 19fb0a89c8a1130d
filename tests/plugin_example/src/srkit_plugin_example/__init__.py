"""An srkit plugin with one component of every kind."""

from srkit import hookimpl

SRKIT_API = 1


@hookimpl
def srkit_datasets() -> dict[str, str]:
    """Offer artificial images."""
    return {"example_data": "srkit_plugin_example.images:Gradients"}


@hookimpl
def srkit_augmentations() -> dict[str, str]:
    """Offer a random order of the channels."""
    return {"example_shuffle": "srkit_plugin_example.images:ChannelShuffle"}


@hookimpl
def srkit_degradations() -> dict[str, str]:
    """Offer a box blur with noise."""
    return {"example_blur": "srkit_plugin_example.images:NoisyBox"}


@hookimpl
def srkit_image_formats() -> dict[str, str]:
    """Offer portable float maps."""
    return {"example_pfm": "srkit_plugin_example.pfm:PortableFloatMap"}


@hookimpl
def srkit_stretches() -> dict[str, str]:
    """Offer a signed square root."""
    return {"example_root": "srkit_plugin_example.images:Root"}


@hookimpl
def srkit_constraints() -> dict[str, str]:
    """Offer a constraint that keeps each image's mean."""
    return {"example_mean": "srkit_plugin_example.images:SameMean"}


@hookimpl
def srkit_generators() -> dict[str, str]:
    """Offer a network of two layers."""
    return {"example_net": "srkit_plugin_example.networks:TwoLayers"}


@hookimpl
def srkit_discriminators() -> dict[str, str]:
    """Offer a critic of two layers."""
    return {"example_critic": "srkit_plugin_example.networks:Critic"}


@hookimpl
def srkit_games() -> dict[str, str]:
    """Offer a game of cross-entropy."""
    return {"example_game": "srkit_plugin_example.measures:Duel"}


@hookimpl
def srkit_teachers() -> dict[str, str]:
    """Offer an untrained classifier."""
    return {"example_teacher": "srkit_plugin_example.networks:Classifier"}


@hookimpl
def srkit_losses() -> dict[str, str]:
    """Offer a loss on images."""
    return {"example_loss": "srkit_plugin_example.measures:LogCosh"}


@hookimpl
def srkit_metrics() -> dict[str, str]:
    """Offer a metric on images."""
    return {"example_metric": "srkit_plugin_example.measures:LargestError"}


@hookimpl
def srkit_optimisers() -> dict[str, str]:
    """Offer gradient descent with the momentum of Nesterov."""
    return {"example_nesterov": "srkit_plugin_example.training:nesterov"}


@hookimpl
def srkit_schedules() -> dict[str, str]:
    """Offer a polynomial decrease."""
    return {"example_power": "srkit_plugin_example.training:Power"}


@hookimpl
def srkit_trackers() -> dict[str, str]:
    """Offer a table of values."""
    return {"example_csv": "srkit_plugin_example.trackers:CSV"}


@hookimpl
def srkit_downloads() -> dict[str, str]:
    """Offer a set of pictures."""
    return {"example_pictures": "srkit_plugin_example.downloads:pictures"}


@hookimpl
def srkit_commands() -> dict[str, str]:
    """Offer a command of ``srkit data``."""
    return {"data example-ramp": "srkit_plugin_example.commands:make_ramp"}
