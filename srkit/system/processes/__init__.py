"""Child processes, worker processes and signals."""
