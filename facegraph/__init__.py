"""Client package for users of a running service. The service itself is the package ``serve_app``."""
