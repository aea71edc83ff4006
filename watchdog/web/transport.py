"""How answers travel: compressed, and not at all where whoever asks has them already."""

import gzip
import hashlib
from dataclasses import replace

from watchdog.web.wsgi import Request, Response

SMALLEST = 500
"""Bytes; what is smaller travels as it is."""

UNPACKED = ("/metrics",)
"""A scrape comes from beside us and is counted in milliseconds: packing it would cost more than making it, and so would
a tag, which nobody asks for and which would be another one at each."""


def travelling(request: Request, answer: Response) -> Response:
    """The answer with an ETag, unless it has one, 304 where it is known, and else packed; but of what is `UNPACKED`."""
    if request.path in UNPACKED:
        return answer
    if request.method == "GET" and answer.status == 200:
        answer = _tagged(request, answer)
    return _packed(request, answer)


def _tagged(request: Request, answer: Response) -> Response:
    # weak, for packed it is not the same byte by byte
    tag = answer.headers.get("ETag") or f'W/"{hashlib.sha256(answer.body).hexdigest()[:16]}"'
    tagged = replace(answer, headers={**answer.headers, "ETag": tag})
    is_known = tag.removeprefix("W/") in request.header("if-none-match")
    return replace(tagged, status=304, body=b"") if is_known else tagged


def _packed(request: Request, answer: Response) -> Response:
    if len(answer.body) < SMALLEST:
        return answer
    varies = ", ".join(filter(None, (answer.headers.get("Vary", ""), "Accept-Encoding")))
    answer = replace(answer, headers={**answer.headers, "Vary": varies})
    if "gzip" not in request.header("accept-encoding"):
        return answer
    packed = gzip.compress(answer.body, 6, mtime=0)
    return replace(answer, body=packed, headers={**answer.headers, "Content-Encoding": "gzip"})
