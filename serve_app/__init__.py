"""facegraph: a self-hosted face-search service on Ray Serve."""

from serve_app import process_environment

__version__ = "0.1.0"

process_environment.keep_quiet()
process_environment.keep_local_calls_local()
