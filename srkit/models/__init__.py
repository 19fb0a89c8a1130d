"""One name for every kind of model; inspect, blend and export models."""
