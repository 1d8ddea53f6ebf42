"""The search pipeline behind other servers, as a user would write it with each, over the same model files and data."""
