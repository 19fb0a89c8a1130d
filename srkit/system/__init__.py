"""Disk, memory, network and processes; knows no image."""
