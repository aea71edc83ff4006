"""Any scheduler in SQLite or PostgreSQL, read by the operator's own queries."""
