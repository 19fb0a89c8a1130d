"""Shards: images in tar files, local or on a server."""
