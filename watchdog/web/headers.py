"""The headers of every answer. Nothing may be loaded from elsewhere, framed, guessed at, or kept."""

_ALWAYS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}

API_HEADERS = {**_ALWAYS, "Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'"}

PAGE_HEADERS = {
    **_ALWAYS,
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Vary": "Accept, Cookie",
}

FILE_HEADERS = {**_ALWAYS, "Cache-Control": "max-age=86400", "Content-Security-Policy": "default-src 'none'"}
