"""Studies that compare many models or images: rankings, sweeps and others."""
