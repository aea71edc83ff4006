"""What the running service does without: what its libraries load for uses that it has none of.

All of this saves memory and nothing else. What is not as it is known here, a library or this Python, is loaded whole.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

SERVERS = ("http.server", "socketserver", "ssl", "urllib.error", "urllib.request", "wsgiref.simple_server")
"""What prometheus-client imports to serve metrics by itself and to push them to a gateway."""

HASHES = ("_md5", "_sha1", "_sha3", "_blake2")
"""Python's own, besides those of SHA-2: one module from 3.12 on, two before. A system may have built it without."""


def begin() -> None:
    """To be called before anything else of the service is imported. What is loaded already stays as it is."""
    _hash_without_openssl()
    _copy_without_packers()
    _count_without_servers()


def _hash_without_openssl() -> None:
    """Have `hashlib` use what Python brings along: 3.4 MB less, most of them OpenSSL's library.

    What is hashed here are names, pages and tokens, some kilobytes at a time. TLS is spoken by processes of their own.
    """
    has_sha2 = _is_there("_sha2") or (_is_there("_sha256") and _is_there("_sha512"))
    if has_sha2 and all(_is_there(name) for name in HASHES):
        _do_without("_hashlib")


def _copy_without_packers() -> None:
    """Have `shutil`, which comes along with `tempfile`, not load what it would unpack archives with: 0.3 MB less."""
    for name in ("_bz2", "_lzma"):
        _do_without(name)


def _do_without(name: str) -> None:
    """Have the import system say that this module is not there."""
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def _is_there(name: str) -> bool:
    return find_spec(name) is not None


def _count_without_servers() -> None:
    """Import prometheus-client without the web servers, the TLS and the mail formats that it never uses here: 3 MB."""
    known = set(sys.modules)
    try:
        with _standing_in(SERVERS):
            import_module("prometheus_client")
    except Exception:
        # it uses them otherwise than it did: whoever needs it imports it with all that it wants
        for name in [name for name in sys.modules if name not in known and name.startswith("prometheus_client")]:
            del sys.modules[name]


@contextmanager
def _standing_in(names: tuple[str, ...]) -> Iterator[None]:
    """While this lasts, modules that are not loaded yet are imported as empty ones."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update({name: _StandIn(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


class _StandIn(ModuleType):
    """Has whatever is taken from it: an empty class, from which others may be derived."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
