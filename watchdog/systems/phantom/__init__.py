"""Phantom's scheduler: how it is read, acted on and replayed."""
