"""Error rates of template comparison, one-to-one and one-to-many, in one process."""
