"""Paths of the FR Server dialect, one router per subject."""
