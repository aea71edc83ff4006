"""The three streams that a process is given, where whoever starts it has closed some of them."""

import os
import sys

_FILES = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def fill() -> None:
    """Have nothing stand where a stream is missing: the next file that is opened would be written to as that stream."""
    filler = os.open(os.devnull, os.O_RDWR)
    while filler < len(_FILES):
        os.set_inheritable(filler, True)
        filler = os.open(os.devnull, os.O_RDWR)
    os.close(filler)
    for name, mode in _FILES:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for as long as we live
