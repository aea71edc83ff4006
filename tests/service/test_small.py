"""What the service imports: it holds that for months."""

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.command import COMMAND, PATIENCE, Running, free_port, until
from tests.support.linux import needs_proc
from watchdog.demo.tables import connect
from watchdog.systems import KINDS, folder

HEAVY = ("click", "difflib", "getpass", "pydantic", "yaml", "jinja2", "importlib.metadata", "apprise", "urllib3")
"""What is needed by a request, a command, or a process of its own."""

NEVER = (
    *("ssl", "_hashlib", "_lzma", "http.client", "http.server", "socketserver", "wsgiref", "urllib.request", "email"),
    *("html", "typing_extensions"),
)
"""What its libraries load for uses that the service has none of."""

WHAT_IT_IS = (
    *("watchdog.cli.main", "watchdog.service.loop", "watchdog.service.configuration", "watchdog.incidents.report"),
    *(f"watchdog.systems.{folder(kind)}.source" for kind in KINDS if kind != "hermes"),
)
"""What `run` imports, and its sources; a Hermes home has settings in YAML."""

BEGIN = "from watchdog.service import lean; lean.begin()"
COUNT = "from watchdog.metrics.collection import Metrics; text = Metrics().text().decode()"


def said(*lines: str) -> str:
    """What a Python that does this prints."""
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True).stdout


def loaded(names: tuple[str, ...], *lines: str) -> list[str]:
    """Which of these modules a Python that does this has loaded."""
    shown = f"import sys; print(*(name for name in {names!r} if sys.modules.get(name)))"
    return said(*lines, shown).splitlines()[-1].split()


def test_the_service_does_without_what_only_a_request_or_a_process_of_its_own_needs() -> None:
    assert loaded(HEAVY, f"import {', '.join(WHAT_IT_IS)}") == []


def test_the_service_and_its_page_do_without_what_their_libraries_never_use_there() -> None:
    everything = f"import {', '.join(WHAT_IT_IS)}, watchdog.web.parts, jinja2, hashlib, hmac, secrets, cron_descriptor"
    assert loaded(NEVER, BEGIN, everything) == []


def test_what_the_service_does_without_can_still_be_had() -> None:
    needs = "import urllib.request, ssl; print(ssl.create_default_context().verify_mode.name, urllib.request.Request)"
    assert said(BEGIN, needs) == "CERT_REQUIRED <class 'urllib.request.Request'>\n"
    assert said(BEGIN, "import typing_extensions; print(typing_extensions.__name__)") == "typing_extensions\n"


def test_schedules_read_the_same_in_words() -> None:
    words = (
        "from watchdog.core.model import CronSchedule; from watchdog.cadence.plain_words import plainly;"
        "print(plainly(CronSchedule('0 9 * * MON-FRI', 'Europe/Berlin')))"
    )
    assert said(BEGIN, words) == said(words) == "At 09:00, Monday through Friday (Europe/Berlin)\n"


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256"])
def test_without_openssl_all_hashes_are_the_same(name: str) -> None:
    hashed = f"import hashlib, hmac; print(hmac.new(b'key', b'text', hashlib.{name}).hexdigest())"
    assert said(BEGIN, hashed) == said(hashed)


def test_a_python_without_hashes_of_its_own_keeps_openssl() -> None:
    lacking = "from watchdog.service import lean; lean.HASHES += ('_not_there',); lean.begin()"
    assert loaded(("_hashlib",), lacking, "import hashlib; hashlib.sha256(b'').hexdigest()") == ["_hashlib"]


def test_a_prometheus_client_that_needs_its_servers_is_loaded_whole() -> None:
    needing = "from watchdog.service import lean; lean._StandIn.__getattr__ = lambda *_: int('x'); lean.begin()"
    assert loaded(("ssl", "http.server"), needing, COUNT) == ["ssl", "http.server"]
    assert "watchdog_build_info{" in said(needing, COUNT, "print(text)")


def test_what_is_counted_reads_the_same_without_servers() -> None:
    names = "print(*(line for line in text.splitlines() if line.startswith('#')), sep='\\n')"
    assert said(BEGIN, COUNT, names) == said(COUNT, names)


@needs_proc
def test_the_service_as_it_is_installed_has_not_loaded_openssl_when_its_page_has_been_seen(tmp_path: Path) -> None:
    database, port = tmp_path / "phantom.db", free_port()
    connect(database, durable=False).close()
    arguments = [str(COMMAND), "run", "--database", str(database), "--listen", f"127.0.0.1:{port}"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(arguments, stderr=log, text=True, env={"STATE_DIRECTORY": str(tmp_path)})
    service = Running(process, f"http://127.0.0.1:{port}", tmp_path / "log")
    try:
        until(lambda: service.get("/readyz")[0] == 200, "it has looked")
        asked = urllib.request.Request(service.url, headers={"Accept": "text/html"})
        assert b"</html>" in urllib.request.urlopen(asked, timeout=PATIENCE).read()
        mapped = Path(f"/proc/{process.pid}/maps").read_text()
        assert "sqlite3" in mapped
        assert not [name for name in ("libssl", "libcrypto", "liblzma", "_decimal") if name in mapped]
    finally:
        service.stop()
