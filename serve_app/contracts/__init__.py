"""Protocols of the stages: what each stage offers, and how each of its methods may be called."""
