"""What is raised where a source cannot be read."""

from datetime import timedelta

BELIEVED_AFTER = timedelta(seconds=5)
"""A file that cannot be read is looked at again so much later before that is told: it may be being written."""


class UnreadableError(Exception):
    """It cannot be read now; the text says why and what to do, in one line."""
