"""PNG, JPEG, WebP, AVIF, TIFF and NumPy files."""
