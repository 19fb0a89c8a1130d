"""`srkit upscale --check`: whether SR agrees with its input."""
