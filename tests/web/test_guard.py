"""What a stranger may not do to the web server."""

import http.client
import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import build, healthy, job_row
from tests.support.command import Running, running, until
from watchdog.web.guard import MOST_CONNECTIONS, as_a_proxy_says, is_ours

OURS = ["127.0.0.1", "127.0.0.1:9846", "[::1]:9846", "10.0.0.7:80", "localhost", "watchdog:9846", "a.localhost"]
STRANGE = ["evil.example", "evil.example:9846", "localhost.evil.example", "127.0.0.1.nip.io", "a.b."]


@pytest.mark.parametrize("host", OURS)
def test_addresses_and_names_that_nobody_outside_can_give_are_ours(host: str) -> None:
    assert is_ours(host, ())


@pytest.mark.parametrize("host", STRANGE)
def test_a_name_that_a_stranger_may_point_here_is_not_ours_unless_it_is_listed(host: str) -> None:
    assert not is_ours(host, ())
    assert is_ours(host, ("*",))


def test_listed_names_are_ours_and_only_they() -> None:
    assert is_ours("watch.example.org:443", ("watch.example.org",))
    assert is_ours("a.example.org", ("*.example.org",))
    assert not is_ours("example.org.evil.example", ("*.example.org",))


def _service(tmp_path: Path, more: str = "") -> None:
    database = build(tmp_path / "phantom.db", {**healthy(), "scheduled_jobs": [job_row("one")]})
    (tmp_path / "watchdog.yaml").write_text(
        f"sources: [{{name: agent, database: {database}}}]\nstate: {tmp_path / 'state.db'}\n"
        f'poll: 200ms\nhttp: {{listen: "127.0.0.1:PORT"{more}}}\n'
    )


def _asked(service: Running, host: str, path: str = "/api/v1/jobs") -> int:
    connection = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=60)
    connection.request("GET", path, headers={"Host": host})
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_page_elsewhere_reads_nothing_by_a_name_of_its_own(tmp_path: Path) -> None:
    _service(tmp_path, ", hosts: [watch.example.org]")
    with running(tmp_path) as service:
        assert _asked(service, "evil.example") == 421
        assert _asked(service, "evil.example", "/metrics") == 421
        assert _asked(service, "watch.example.org") == 200
        assert _asked(service, urlsplit(service.url).netloc) == 200


def test_idle_and_half_sent_connections_leave_the_loop_its_files_and_others_their_answers(tmp_path: Path) -> None:
    _service(tmp_path)
    with running(tmp_path) as service, ExitStack() as strangers:
        address = urlsplit(service.url)
        begun = (b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        for number in range(MOST_CONNECTIONS * 3):
            stranger = strangers.enter_context(socket.socket())
            stranger.connect((address.hostname, address.port))
            stranger.sendall(begun[number % 3])
        assert service.get("/metrics")[0] == 200
        assert service.get("/healthz")[0] == 200
        descriptors = Path(f"/proc/{service.process.pid}/fd")
        until(lambda: len(list(descriptors.iterdir())) < MOST_CONNECTIONS + 64, "the strangers are shown out")
        assert service.metric("watchdog_source_up") == {'source="agent"': 1.0}
        assert len(service.log()) < 50


def test_a_body_without_an_end_is_cut_off(tmp_path: Path) -> None:
    _service(tmp_path)
    with running(tmp_path) as service, socket.socket() as stranger:
        address = urlsplit(service.url)
        stranger.settimeout(60)
        stranger.connect((address.hostname, address.port))
        stranger.sendall(b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(1000):
                stranger.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        except OSError:
            return  # it has hung up
        assert b"413" in stranger.recv(100)


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"hello\r\n\r\n", b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_what_is_no_http_is_shown_out_and_the_next_one_is_answered(tmp_path: Path, sent: bytes) -> None:
    _service(tmp_path)
    with running(tmp_path) as service, socket.socket() as stranger:
        address = urlsplit(service.url)
        stranger.settimeout(60)
        stranger.connect((address.hostname, address.port))
        stranger.sendall(sent)
        said = stranger.recv(100)
        assert not said or b" 400 " in said
        assert service.get("/healthz")[0] == 200


@pytest.mark.parametrize("proxy", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("198.51.100.9", "198.51.100.9"),
        ("forged, 198.51.100.9:4711", "198.51.100.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        (":80", ""),
        ('unknown"', ""),
    ],
)
def test_a_proxy_on_this_machine_is_believed_by_whichever_address_it_comes(proxy: str, said: str, address: str) -> None:
    asked = {"REMOTE_ADDR": proxy, "wsgi.url_scheme": "http", "HTTP_X_FORWARDED_FOR": said}
    assert as_a_proxy_says(asked)["REMOTE_ADDR"] == (address or proxy)


@pytest.mark.parametrize(
    ("said", "scheme"), [("https", "https"), ("HTTPS, http", "https"), ("ftp", "http"), ("", "http")]
)
def test_it_says_whether_it_was_asked_by_https_and_what_else_it_says_does_no_harm(said: str, scheme: str) -> None:
    asked = {"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http", "HTTP_X_FORWARDED_PROTO": said}
    assert as_a_proxy_says(asked)["wsgi.url_scheme"] == scheme
    elsewhere = {**asked, "REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}
    assert as_a_proxy_says(elsewhere) == elsewhere


def test_whom_a_proxy_on_this_machine_asks_for_is_on_record_and_nobody_else_can_say_so(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-for-tests-only\n")
    (tmp_path / "token").chmod(0o600)
    _service(tmp_path, f", token_file: {tmp_path / 'token'}")
    with running(tmp_path) as service:
        connection = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=60)
        told = {"Host": "x", "Authorization": "Bearer wrong", "X-Forwarded-For": "192.0.2.7, 198.51.100.9"}
        connection.request("GET", "/api/v1/audit", headers=told)
        assert connection.getresponse().status == 401
        connection.close()

        def lines() -> list[dict[str, object]]:
            return [line for line in service.log() if line.get("action") == "refused"]

        refused = until(lines, "it is on the log, which is written beside")
        assert [line["address"] for line in refused] == ["198.51.100.9"]
