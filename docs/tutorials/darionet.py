# %% [markdown]
# # DarioNet: tune for a classifier
#
# A network that is trained for small differences of pixels makes pictures smooth. DarioNet asks for something else: a
# frozen classifier should give the same scores for the restored picture as for the original.
#
# This tutorial tunes a small network in this way, on pictures that are part of `srkit[sample]`, with a classifier from
# a pip package; nothing is downloaded. It takes 30 steps, which show how to proceed, not how much is gained.

# %% [markdown]
# ## The recipe
#
# `start` names weights that are part of srkit, trained for small differences of pixels. `teachers` names the
# classifier, and `logit_mse` is the only loss: the mean squared difference of the scores.

# %%
from pathlib import Path

Path("tuned.yaml").write_text("""
name: tuned
scale: 4
degradation: {type: bicubic, factor: 0.32}
generator: {type: rrdb, blocks: 4, features: 32, growth: 16}
start: {weights: rrdb_small_x4}
teachers:
  classifier: {type: efficientnet_lite0}
losses: {logit_mse: {}}
metrics: {score_mse: {}, psnr: {}}
data:
  train: {dataset: {type: sample_photos, split: train}, augment: [flip]}
  test: {dataset: {type: sample_photos, split: test}}
training:
  duration: 30
  batch_size: 4
  optimiser: {lr: 1e-4}
  schedule: {type: cosine, warmup: 5}
  clip: 1.0
  log_every: 10
  workers: 0
""")
# !srkit recipe check tuned.yaml

# %% [markdown]
# ## Train
#
# After the last step, the network is compared with the untuned one and with interpolations.

# %%
# !srkit finetune tuned.yaml

# %% [markdown]
# ## The table
#
# `score_mse` is what was trained: the squared difference of the scores from those of the original. `psnr` says how close
# the pixels are to the original. Compare the last two rows: tuning brings the scores closer, and gives up some of the
# PSNR for it.

# %%
from srkit.report import Report

report = Report("runs/tuned", height=900)
report.tables["table"]

# %% [markdown]
# Whether the classifier also predicts the right class more often cannot be seen with so few test pictures.
# [On 100 photographs](../results.md), with 176 steps, it does.
#
# The report has the curves of the loss, and the pictures themselves.

# %%
report

# %% [markdown]
# ## Use it
#
# The run folder is a model like any other.

# %%
from skimage import data

import srkit

photo = data.chelsea()[40:140, 90:230]
srkit.upscale(photo, "runs/tuned")

# %% [markdown]
# ## With your own pictures
#
# - Another classifier of torchvision or timm: `classifier: {type: timm, model: convnext_tiny}`.
# - Your own labelled pictures: `dataset: {type: image_folder, root: photos, labels: labels.csv}`, and `labels: dataset`.
# - A detector, a segmentation network or an embedding instead of a classifier: [Teachers](../how_to/use_teachers.md).
