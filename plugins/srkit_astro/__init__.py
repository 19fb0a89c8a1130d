"""Astronomy: lens pairs and simulations, PSFs and noise, FITS, and metrics of flux and shape."""
