"""Recall of the face detector by face width, and its false faces."""
