# %% [markdown]
# # Compare networks and losses
#
# Is one network better than another, or one loss better than another? And is the difference more than chance? To
# answer, a recipe is trained several times with small changes and with several seeds. `srkit sweep` does all of this.

# %% [markdown]
# ## One recipe, three variants, two seeds
#
# `variants` has axes, of which all combinations are trained: a key of the recipe with the values to try, or a name of
# your choice with a mapping from names to changes. `repeat` names the axis over which results are averaged.

# %%
from pathlib import Path

Path("comparison.yaml").write_text("""
name: comparison
scale: 2
degradation: {type: bicubic}
generator: {type: edsr, blocks: 2, features: 16, global_residual: true}
losses: {pixels: {type: l1}}
metrics: {psnr: {}, ssim: {}}
data:
  train: {dataset: {type: sample_photos, split: train}, crop: 48, augment: [flip, rotate]}
  test: {dataset: {type: sample_photos, split: test}}
training:
  duration: 40
  batch_size: 4
  optimiser: {lr: 2e-3}
  schedule: {type: cosine, warmup: 5}
  log_every: 40
  workers: 0
variants:
  ablation:
    edsr: {}
    mse: {losses.pixels.type: mse}
    srresnet: {generator: {type: srresnet, blocks: 2, features: 16, global_residual: true}}
  seed: [0, 1]
repeat: seed
""")
# !srkit sweep comparison.yaml

# %% [markdown]
# Had one of the variants been impossible, for example with a misspelt option, all errors would have been reported
# before the first one was trained.

# %% [markdown]
# ## The table
#
# Mean and standard deviation over the seeds. A difference that is smaller than the scatter is not a result.

# %%
from srkit.report import Report

report = Report("runs/comparison-sweep", height=700)
report.tables["table"]

# %%
report

# %% [markdown]
# ## Rank them with their costs
#
# A network that is a little better may be much slower. `srkit rank` restores the same images with several models, and
# lists quality, parameters, operations and time side by side. Models whose difference is within its error are ties.

# %%
import numpy as np
from PIL import Image
from skimage import data

Path("test").mkdir()
for name in ("astronaut", "chelsea", "coffee"):
    picture = getattr(data, name)()[40:200, 100:260]
    Image.fromarray(np.ascontiguousarray(picture)).save(f"test/{name}.png")
run = "runs/comparison-sweep/variants/{}_seed-0"
models = " ".join(run.format(name) for name in ("edsr", "srresnet"))
# !srkit rank {models} bicubic edsr_small_x2 --on test --scale 2 --out ranking

# %%
Report("ranking", height=800)

# %% [markdown]
# ## What to conclude
#
# After 40 steps, all of these networks are worse than `edsr_small_x2`, which was trained for longer, and some are worse
# than bicubic interpolation. What a comparison needs is enough steps that the curves are flat, and enough seeds that the
# scatter is known. [Which blocks? An ablation](../results.md#which-blocks-an-ablation) is one that was made with care.
