"""The verbs and the tables."""
