"""Test doubles of models and of the vector index, and injected faults. The gallery in tests is the real one."""
