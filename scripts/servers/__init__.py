"""Real servers, started for tests and stopped after them."""
