"""`srkit rank`: several models on the same test set."""
