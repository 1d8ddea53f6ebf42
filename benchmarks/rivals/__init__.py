"""The same pipeline behind other servers: what a user would write with each, over the same model files and data."""
