"""facegraph: a self-hosted face-search service on Ray Serve."""

__version__ = "0.1.0"
