"""Findings over time: open, gather, hold, resolve, silence, acknowledge."""
