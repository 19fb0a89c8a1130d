"""Images and files through a model."""
