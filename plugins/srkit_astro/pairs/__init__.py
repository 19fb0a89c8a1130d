"""Real pairs of LR and HR images."""
