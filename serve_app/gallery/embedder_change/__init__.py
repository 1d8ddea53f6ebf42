"""Changes of a gallery's embedder while it serves searches and writes."""
