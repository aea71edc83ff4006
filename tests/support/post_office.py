"""Where messages arrive: a local web server and a local mail server that keep all that they are given."""

import email.policy
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.command import PATIENCE, free_port

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops"


class Mailbox:
    """What the mail server was given."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        """Keep the mail."""
        assert isinstance(envelope.content, bytes)
        mail = BytesParser(policy=email.policy.default).parsebytes(envelope.content)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[Mailbox, str]]:
    """A mail server on the loopback address: its mailbox, and the address that apprise sends to."""
    mailbox, port = Mailbox(), free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox, f"mailto://127.0.0.1:{port}?from=watchdog@example.com&to=anna@example.com&mode=insecure"
    finally:
        controller.stop()
        controller.loop.close()


def _serve(listener: socket.socket, ending: threading.Event, drip: bytes, held: list[socket.socket]) -> None:
    listener.settimeout(0.02)
    while not ending.is_set():
        try:
            held.append(listener.accept()[0])
        except TimeoutError:
            for each in held if drip else ():
                _drip(each, drip)


def _drip(connection: socket.socket, drip: bytes) -> None:
    try:
        connection.sendall(drip)
    except OSError:
        return  # cut off, as it should be


@contextmanager
def never_done(drip: bytes = b"") -> Iterator[int]:
    """A port where connections are taken and never done with; `drip` comes again and again."""
    ending, held = threading.Event(), list[socket.socket]()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, ending, drip, held))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ending.set()
            thread.join()
            for each in held:
                each.close()


def part(mail: EmailMessage, kind: str) -> str:
    """The text of a mail in one form: `plain` or `html`."""
    body = mail.get_body((kind,))
    return str(body.get_content()) if isinstance(body, EmailMessage) else ""


_HAND_OVER = """
import json, sys
from apprise.plugins.slack import NotifySlack
from watchdog.notify import child
work = json.load(sys.stdin)
NotifySlack.webhook_url = work["slack"]
json.dump([child.send(order) for order in work["orders"]], sys.stdout)
"""


def hand_over(orders: Sequence[Mapping[str, object]], slack: str) -> list[dict[str, Any]]:
    """What comes of the orders, given to the real plugins in one process; `slack` stands for Slack's own address."""
    done = subprocess.run(
        [sys.executable, "-c", _HAND_OVER],
        input=json.dumps({"orders": list(orders), "slack": slack}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stderr
    outcomes: list[dict[str, Any]] = json.loads(done.stdout)
    return outcomes
