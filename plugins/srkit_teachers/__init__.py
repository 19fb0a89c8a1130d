"""Frozen classifiers, and the losses and metrics on their answers."""
