"""Benchmarks of a real running service, and the figures in the documentation: ``python -m benchmarks --help``."""
