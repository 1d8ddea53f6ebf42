"""The running service under load from HTTP clients."""
