"""Metrics over models and images, and the report of them."""
