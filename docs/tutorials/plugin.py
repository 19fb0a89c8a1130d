# %% [markdown]
# # Your own network as a plugin
#
# Networks, losses, data sets and everything else that a recipe names come from plugins, and yours is used like those of
# srkit: it has checked options, it appears in `srkit plugins`, and its runs resume. This tutorial makes one.

# %% [markdown]
# ## Create the package
#
# `srkit plugin new` writes a package that works, with tests. `--kinds` chooses what it contains.

# %%
# !srkit plugin new srkit-gate --kinds generators

# %%
from pathlib import Path

for path in sorted(Path("srkit-gate").rglob("*.*")):
    print(path)

# %% [markdown]
# The entry point in `pyproject.toml` names the module in which srkit looks for components. That module lists them as
# text, so that nothing is imported before it is used.

# %%
print(Path("srkit-gate/src/srkit_gate/__init__.py").read_text())

# %% [markdown]
# ## Write the network
#
# A generator is a `torch.nn.Module` that maps LR to SR. Its keyword-only, annotated parameters become the options of the
# recipe; the docstring says what they mean. `scale` and `channels` are supplied by srkit. `stages` names the parts that
# a recipe can freeze.

# %%
_ = Path("srkit-gate/src/srkit_gate/generators.py").write_text('''
"""A network of gated convolutions."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F


class Net(nn.Module):
    """Gated convolutions, added to the enlarged LR.

    Parameters
    ----------
    features
        Channels of the hidden layers.
    layers
        Number of gated layers.
    """

    def __init__(
        self, *, scale: int, channels: int, features: PositiveInt = 16, layers: PositiveInt = 2
    ) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Conv2d(features, 2 * features, 3, padding=1) for _ in range(layers)
        )
        self.tail = nn.Conv2d(features, channels * scale**2, 3, padding=1)
        nn.init.normal_(self.tail.weight, std=1e-3)  # begin with little more than interpolation

    def forward(self, lr: Tensor) -> Tensor:
        """Map LR to SR."""
        x = self.head(lr)
        for layer in self.body:
            x = x + F.glu(layer(x), dim=1)
        detail = F.pixel_shuffle(self.tail(x), self.scale)
        return detail + F.interpolate(lr, scale_factor=self.scale, mode="bilinear")

    def stages(self) -> dict[str, nn.Module]:
        """Name the parts of the network, which a recipe can freeze."""
        return {"head": self.head, "body": self.body, "tail": self.tail}
''')

# %% [markdown]
# ## Install it
#
# `pip install -e` would let you change the code without installing it again.

# %%
# !pip install ./srkit-gate

# %%
# !srkit plugins generators srkit_gate_net

# %% [markdown]
# ## Check the contract
#
# `srkit.testing` has a check for each kind of component: whether the output has the right size, whether the network is
# reproducible, whether it can be saved and loaded, and more. The tests of the package call it; so can you.

# %%
from srkit.components import Registry, build
from srkit.testing import check_component, check_generator

component = Registry.discover().get("generators", "srkit_gate_net")
check_component(component)
check_generator(build(component.factory, {"layers": 3}, scale=2, channels=3), scale=2)

# %% [markdown]
# ## Train it

# %%
Path("gate.yaml").write_text("""
name: gate
scale: 2
degradation: {type: bicubic}
generator: {type: srkit_gate_net, features: 16, layers: 3}
losses: {l1: {}}
metrics: {psnr: {}, ssim: {}}
data:
  train: {dataset: {type: sample_photos, split: train}, crop: 64, augment: [flip, rotate]}
  test: {dataset: {type: sample_photos, split: test}}
training:
  {duration: 60, batch_size: 4, optimiser: {lr: 2e-3}, schedule: {type: cosine, warmup: 5}, log_every: 20, workers: 0}
""")
# !srkit train gate.yaml

# %% [markdown]
# Mistakes in the options of your network are reported like all others, before anything is computed:

# %% tags=["error"]
# !srkit train gate.yaml generator.layers=0 generator.feature=8

# %% [markdown]
# ## Use it
#
# The checkpoint records which plugin, in which version, made the network; every command that accepts a model accepts
# this run.

# %%
from skimage import data

import srkit

srkit.upscale(data.astronaut()[:96, 180:300], "runs/gate")

# %% [markdown]
# Whoever gets this run without the plugin receives one clear message with the name of the missing package. Publish the
# package, and `pip install srkit-gate` is all that others need. [Plugins](../how_to/write_a_plugin.md) has an example of each kind.
