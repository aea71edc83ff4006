"""Where a page can be put."""

import socket

from watchdog.config.file import DEFAULT_LISTEN, parse_address


def usual_or_free_port() -> int:
    """The usual port of the page where nobody has it, else any that is free."""
    usual = parse_address(DEFAULT_LISTEN)
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((usual.host, usual.port))
        except OSError:
            tried.bind((usual.host, 0))
        return int(tried.getsockname()[1])
