"""FITS files: pixels, headers, WCS and photometric calibration."""
