"""Bulk enrolment: reading uploads of many persons, and the worker that enrols them."""
