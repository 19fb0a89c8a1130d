"""Images larger than memory: restored by windows, and resumed."""
