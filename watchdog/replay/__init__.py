"""Recorded cases: what was seen of a scheduler, step by step, played again as the service would have seen it."""
