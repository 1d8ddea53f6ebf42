"""A real Ray cluster of two nodes on this machine. ``make cluster`` runs these tests; they take minutes."""
