"""What is raised where a source cannot be read."""


class UnreadableError(Exception):
    """It cannot be read now; the text says why and what to do, in one line."""
