"""The HTTP side: authentication, limits, schemas, native routes, vendors' dialects, and translation of errors."""
