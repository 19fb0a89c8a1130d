"""Detection networks."""
