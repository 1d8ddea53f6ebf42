"""Occluded faces: how recognition and quality respond to them."""
