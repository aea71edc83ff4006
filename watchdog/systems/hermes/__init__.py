"""Hermes Agent: jobs in a file that its gateway rewrites, a ledger of runs, sessions (docs/hermes.md)."""
