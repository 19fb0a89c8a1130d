"""`srkit upscale --check`: whether the input supports the result."""
