"""Writing: the transaction over records, index and images, and the plan of each operation."""
