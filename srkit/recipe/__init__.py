"""From YAML files to a checked recipe; imports no torch."""
