"""Tar shards: format, storage, writer and data set."""
