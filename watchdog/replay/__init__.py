"""Recorded cases: played as the running service would have lived through them, and recorded from a live store."""
