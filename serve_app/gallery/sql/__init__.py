"""The system of record: SQL database, schema, migrations and statements."""
