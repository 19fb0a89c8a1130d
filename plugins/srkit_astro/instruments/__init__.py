"""Telescopes and cameras: PSFs, pixels and noise."""
