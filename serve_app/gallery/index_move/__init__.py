"""Moving the vector index to another store while the service runs."""
