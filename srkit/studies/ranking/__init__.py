"""`srkit rank`: models on the same pictures."""
