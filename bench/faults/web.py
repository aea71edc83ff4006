"""What strangers can do to the web server, while a failure must be found and told as without them."""

import contextlib
import http.client
import resource
import secrets
import socket
import time
from collections.abc import Callable

from bench.faults.rig import POLL, Promise, Rig, going_on, must, until

UNDISTURBED = "scrape, tick, detection and sending as without them"


def _held(rig: Rig, count: int, sends: Callable[[int], bytes]) -> list[socket.socket]:
    held = []
    for number in range(count):
        end = socket.socket()
        end.settimeout(2)
        with contextlib.suppress(OSError):
            end.connect(("127.0.0.1", rig.port))
            if sends(number):
                end.sendall(sends(number))
        held.append(end)
    return held


def _many(count: int) -> Promise:
    """Some send nothing, some half a header, some half a body."""

    def sends(number: int) -> bytes:
        parts = (b"", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-A: ", _HALF_A_BODY)
        return parts[number % 3]

    def attack(rig: Rig) -> None:
        need = count + 200
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(need * 4, 16_384)), hard))
        rig.configure()
        rig.start_with_limit(resource.RLIMIT_NOFILE, 1024, 1024)
        held = _held(rig, count, sends)
        try:
            rig.must_tell("meanwhile")
            began = time.monotonic()
            must("watchdog_build_info" in rig.get("/metrics")[1], "no scrape")
            must(time.monotonic() - began < 2, "a slow scrape")
            must(not [one for one in rig.findings() if one["kind"] == "unreachable"], "a false unreachable")
            must(len(rig.log) < 50, f"{len(rig.log)} lines of log")
            rig.must_be_well()
        finally:
            for end in held:
                end.close()
        rig.must_have_told_once("meanwhile")
        rig.must_end()

    return attack


_HALF_A_BODY = b"POST /api/v1/silences HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"


def slow_loris(rig: Rig) -> None:
    """Three hundred headers that never end: a byte more each half second, until they are cut off."""
    rig.configure()
    rig.start()
    held = _held(rig, 300, lambda _: b"GET / HTTP/1.1\r\nHost: localhost\r\n")

    def drip() -> None:
        for end in held:
            with contextlib.suppress(OSError):
                end.sendall(b"X")

    with going_on(drip, every=0.5):
        rig.must_tell("meanwhile")
        until(lambda: all(map(_is_cut_off, held)), "each is cut off", REQUEST_WITHIN + POLL)
        rig.must_be_well()
    for end in held:
        end.close()
    rig.must_end()


REQUEST_WITHIN = 10.0
"""Seconds in which a request must be whole."""


def _is_cut_off(end: socket.socket) -> bool:
    end.setblocking(False)
    try:
        while answer := end.recv(4096):
            del answer
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def endless_body(rig: Rig) -> None:
    """A chunked body without an end is cut off."""
    rig.configure()
    rig.start()
    with socket.create_connection(("127.0.0.1", rig.port), timeout=5) as end:
        end.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 64 << 20:
                end.sendall(b"10000\r\n" + bytes(65_536) + b"\r\n")
                sent += 65_536
        must(sent < 32 << 20, "64 MB were taken")
    rig.must_tell("meanwhile")
    rig.must_be_well()
    rig.must_end()


def other_hosts(rig: Rig) -> None:
    """A page elsewhere that has given itself an address of ours."""
    rig.configure(http={"listen": f"127.0.0.1:{rig.port}", "token_file": _token(rig)})
    rig.start()
    for path in ("/", "/metrics", "/api/v1/jobs", "/healthz"):
        status, _ = rig.get(path, Host="evil.example")
        must(status == 421, f"{path} for another host: {status}")
    must(_post(rig, {"Origin": "http://evil.example"}) in (403, 421), "a form from another origin is taken")
    must(_post(rig, {"Origin": "http://evil.example", "Host": "evil.example"}) == 421, "its own host is taken for ours")
    rig.must_be_well()
    rig.must_end()


def guesses(rig: Rig) -> None:
    """A thousand wrong tokens."""
    rig.configure(http={"listen": f"127.0.0.1:{rig.port}", "token_file": _token(rig)})
    rig.start()
    before = len(rig.log)
    answers = [_post(rig, {"Authorization": f"Bearer guess-{n}"}, "/api/v1/silences", "{}") for n in range(1000)]
    must(answers.count(401) <= 20, f"{answers.count(401)} guesses were heard")
    must(answers.count(429) >= 900, "they are not slowed down")
    must(len(rig.log) - before < 50, f"{len(rig.log) - before} lines of log")
    rig.must_tell("meanwhile")
    rig.must_be_well()
    rig.must_end()


def _token(rig: Rig) -> str:
    path = rig.folder / "token"
    path.write_text(secrets.token_hex(32))
    return str(path)


def _post(rig: Rig, headers: dict[str, str], path: str = "/login", body: str = "token=x&back=/") -> int:
    kind = "application/json" if body.startswith("{") else "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection("127.0.0.1", rig.port, timeout=5)
    try:
        connection.request("POST", path, body, {"Content-Type": kind, **headers})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def garbage(rig: Rig) -> None:
    """What is no HTTP at all."""
    rig.configure()
    rig.start()
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", rig.port), timeout=2) as end:
            end.sendall(secrets.token_bytes(2000))
    until(lambda: rig.get("/healthz")[0] == 200, "it answers", 2 * POLL)
    must(len(rig.log) < 10, f"{len(rig.log)} lines of log")
    rig.must_tell("meanwhile")
    rig.must_be_well()
    rig.must_end()


FAULTS: dict[str, tuple[str, Promise]] = {
    "web: 1,100 connections, of 1,024 descriptors": (UNDISTURBED, _many(1_100)),
    "web: 2,000 connections, of 1,024 descriptors": (UNDISTURBED, _many(2_000)),
    "web: 300 headers that drip for ever": (UNDISTURBED, slow_loris),
    "web: a body without end": ("it is cut off", endless_body),
    "web: requests for another host, forms from another origin": ("refused", other_hosts),
    "web: a thousand wrong tokens": ("ten are heard; a line of log for each of these", guesses),
    "web: garbage": (UNDISTURBED, garbage),
}
