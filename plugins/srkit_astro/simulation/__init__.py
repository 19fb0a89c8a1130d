"""Data sets of simulated lenses and galaxies."""
