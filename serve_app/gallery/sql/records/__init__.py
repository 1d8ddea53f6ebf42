"""Every SQL statement about the gallery: functions of a connection, one module a subject."""
