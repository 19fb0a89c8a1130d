"""Metrics of flux, shape, detail, sources and artefacts."""
