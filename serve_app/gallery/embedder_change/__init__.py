"""Changing the embedding model of a gallery while it is searched."""
