"""Speed of single components, measured without the rest of the service."""
