"""Training: turns, the loop, and runs that resume exactly."""
