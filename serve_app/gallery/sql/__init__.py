"""The records: SQL database, schema, migrations and statements. They are the system of record."""
