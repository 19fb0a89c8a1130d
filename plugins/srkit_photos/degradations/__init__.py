"""Degradations of photographs."""
