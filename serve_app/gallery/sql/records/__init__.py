"""SQL statements of the gallery: functions that take a connection, one module for each subject."""
