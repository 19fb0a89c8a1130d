"""Optimisers, learning-rate schedules and trackers of training."""

SRKIT_API = 1
