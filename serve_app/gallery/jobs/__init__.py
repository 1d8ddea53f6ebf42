"""Background work: tasks, the duplicate scan, bulk uploads."""
