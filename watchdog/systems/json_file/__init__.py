"""Schedulers that keep their jobs in a JSON file, read as the configuration or a preset maps it."""
