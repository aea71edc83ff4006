"""Telling systemd how the service is, on its datagram socket (sd_notify(3)). Without systemd nothing is done."""

import os
import socket
import time
from collections.abc import Mapping
from datetime import timedelta


class Systemd:
    """The socket in `NOTIFY_SOCKET`, and the beat that `WATCHDOG_USEC` asks for."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        usec = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._every = timedelta(microseconds=int(usec)) / 2 if usec.isdigit() and mine else None
        self._last_beat: float | None = None

    @property
    def beat_every(self) -> timedelta | None:
        """How often a beat is wanted at least: half of the limit after which systemd acts."""
        return self._every

    def ready(self) -> None:
        """The first look is done and the address is bound."""
        self._send("READY=1\nSTATUS=watching")

    def reloading(self) -> None:
        """The configuration is being read again."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end was asked for."""
        self._send("STOPPING=1")

    def beat(self) -> None:
        """The loop has turned. Only the loop may call this: it is what the beat vouches for."""
        if self._every is None:
            return
        now = time.monotonic()
        if self._last_beat is None or now - self._last_beat >= self._every.total_seconds() / 2:
            self._last_beat = now
            self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(0.5)
                channel.sendto(text.encode(), address)
        except OSError:
            return  # systemd may be restarting; the next beat tries again
