"""What users of a running service import. The service itself is the package ``serve_app``."""
