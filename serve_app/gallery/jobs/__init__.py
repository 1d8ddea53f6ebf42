"""Background work: tasks, the search for duplicates, and bulk uploads."""
