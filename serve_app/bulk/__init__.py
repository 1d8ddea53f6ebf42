"""Bulk enrolment: sources of persons, checkpoint, and concurrent enrolment.

A *source* (folder, zip, manifest) gives *entries*; each is a person with images. The *work list* holds them on disk.
The *enroller* sends them to a *target*: the HTTP API, the Python handle or the service itself.
"""
