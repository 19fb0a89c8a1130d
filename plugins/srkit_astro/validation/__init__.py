"""`srkit validate`: injection and recovery, false sources and noise of a model on real frames."""
