"""How the command ends when it cannot do what was asked."""

EXIT_ERROR = 3


class CannotGoOn(Exception):  # noqa: N818 - it is how a command ends, more often than an error
    """What is wrong, where, and what to do; a line for each problem."""
