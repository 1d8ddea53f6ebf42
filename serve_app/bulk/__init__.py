"""Enrolling many persons: where they are read from, what is remembered, and many at the same time.

A *source* (folder, zip, manifest) gives *entries*, a person with pictures each. The *work list* holds them on disk. The
*enroller* sends them through a *door*: HTTP, the Python handle or the service itself.
"""
