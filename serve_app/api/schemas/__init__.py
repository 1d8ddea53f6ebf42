"""Requests and answers of the native API, one module a subject. Answers are built from domain values by ``of``."""
