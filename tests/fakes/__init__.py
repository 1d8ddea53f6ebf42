"""Test doubles of models and of the vector index, and faults on demand. The gallery in tests is the real one."""
