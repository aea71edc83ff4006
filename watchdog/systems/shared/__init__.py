"""What several systems share: reading SQLite without harm, results that are kept while nothing changes."""
