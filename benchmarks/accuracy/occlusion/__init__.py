"""Detecting covered faces from their templates."""
