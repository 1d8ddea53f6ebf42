"""Uploads of many persons: what is accepted, and the worker that enrols them."""
