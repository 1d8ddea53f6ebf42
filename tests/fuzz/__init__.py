"""Hostile input: real files, damaged in every kind of way, for whatever reads files and requests."""
