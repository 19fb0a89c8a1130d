"""Recipes: YAML files checked and converted to objects, without torch."""
