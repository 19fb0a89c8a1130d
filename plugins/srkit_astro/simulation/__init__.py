"""Simulated lenses and galaxies."""
