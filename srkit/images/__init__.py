"""Images from and to files and arrays."""
