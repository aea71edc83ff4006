"""How answers travel: compressed, and not at all where whoever asks has them already."""

import gzip
import hashlib
import re
from dataclasses import replace

from watchdog.web.wsgi import Request, Response

SMALLEST = 500
"""Bytes; what is smaller travels as it is."""

UNPACKED = ("/metrics",)
"""A scrape comes from beside us and is counted in milliseconds: packing it would cost more than making it, and so would
a tag, which nobody asks for and which would be another one at each."""

_NEVER = re.compile(r"q=0(\.0*)?")


def travelling(request: Request, answer: Response) -> Response:
    """The answer with an ETag, unless it has one, 304 where it is known, and else packed; but of what is `UNPACKED`."""
    if request.path in UNPACKED:
        return answer
    is_packable = len(answer.body) >= SMALLEST
    if is_packable:
        answer = _varying(answer)
    if request.method == "GET" and answer.status == 200:
        answer = _tagged(request, answer)
    return _packed(answer) if is_packable and answer.body and _takes_gzip(request) else answer


def _varying(answer: Response) -> Response:
    # said of what is known already, too: caches take it from there
    varies = ", ".join(filter(None, (answer.headers.get("Vary", ""), "Accept-Encoding")))
    return replace(answer, headers={**answer.headers, "Vary": varies})


def _tagged(request: Request, answer: Response) -> Response:
    # weak, for packed it is not the same byte by byte
    tag = answer.headers.get("ETag") or f'W/"{hashlib.sha256(answer.body).hexdigest()[:16]}"'
    tagged = replace(answer, headers={**answer.headers, "ETag": tag})
    is_known = tag.removeprefix("W/") in request.header("if-none-match")
    return replace(tagged, status=304, body=b"") if is_known else tagged


def _takes_gzip(request: Request) -> bool:
    encodings = request.header("accept-encoding").lower().replace(" ", "").split(",")
    return any(
        name == "gzip" and not _NEVER.fullmatch(weight) for name, _, weight in (e.partition(";") for e in encodings)
    )


def _packed(answer: Response) -> Response:
    packed = gzip.compress(answer.body, 6, mtime=0)
    return replace(answer, body=packed, headers={**answer.headers, "Content-Encoding": "gzip"})
