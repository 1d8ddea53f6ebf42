"""Hostile input: real files with many kinds of damage, for every parser of files and requests."""
