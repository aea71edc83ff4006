"""What the running service does without: what its libraries load for uses that it has none of.

All of this saves memory and nothing else. What is not as it is known here, a library or this Python, is loaded whole.
"""

import sys
import typing
from collections.abc import Mapping
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
    _describe_without_extensions()


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
    _import_with("prometheus_client", {name: _StandIn(name) for name in SERVERS})


def _describe_without_extensions() -> None:
    """Import cron-descriptor with `typing`, which has had since Python 3.11 what it wants of `typing_extensions`.

    With a page that has been seen 0.3 MB less; without one 0.1 MB more. By now, before there is a second thread that
    could import something meanwhile.
    """
    _import_with("cron_descriptor", {"typing_extensions": typing})


def _import_with(library: str, stand_ins: Mapping[str, ModuleType]) -> None:
    """Import it with these in the place of what is not loaded yet.

    If it uses them otherwise than it did, then whoever needs it imports it later, with all that it wants.
    """
    known = set(sys.modules)
    absent = {name: module for name, module in stand_ins.items() if name not in known}
    sys.modules.update(absent)
    try:
        import_module(library)
    except Exception:
        for name in [name for name in sys.modules if name not in known and name.startswith(library)]:
            del sys.modules[name]
    finally:
        for name in absent:
            del sys.modules[name]


class _StandIn(ModuleType):
    """Has whatever is taken from it: an empty class, from which others may be derived."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
