"""Moves of the vector index to another location while the service runs."""
