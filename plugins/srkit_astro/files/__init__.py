"""FITS files: pixels, headers, WCS and flux."""
