"""The catalogue: one row a backbone, everything that changes its numbers."""
