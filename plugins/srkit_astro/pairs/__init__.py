"""The data set of real pairs of LR and HR images."""
