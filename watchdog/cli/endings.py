"""How the command ends when it cannot do what was asked."""

import click

EXIT_ERROR = 3


class CannotGoOn(click.ClickException):
    """What is wrong, where, and what to do; a line for each problem."""

    exit_code = EXIT_ERROR
