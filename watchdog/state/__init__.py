"""The state file: what must outlive a restart."""
