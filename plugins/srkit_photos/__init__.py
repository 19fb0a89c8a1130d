"""Photographs: data sets, degradations and picture formats."""
