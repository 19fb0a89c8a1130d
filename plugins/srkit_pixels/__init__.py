"""Losses and metrics that compare images pixel by pixel."""
