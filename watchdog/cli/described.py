"""`make reference`: writes what describes the configuration and the API, made from their types."""

import json
import sys
from pathlib import Path

import watchdog.systems  # noqa: F401 - the kinds of source are known from here on
from watchdog.config.reference import reference
from watchdog.config.schema import schema
from watchdog.web import openapi


def schema_text() -> str:
    """The JSON schema as it stands in its file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


FILES = {
    "config/watchdog.schema.json": schema_text,
    "docs/configuration.md": reference,
    "watchdog/web/openapi.json": openapi.text,
}
"""What is written, from the checkout's folder on."""

if __name__ == "__main__":
    for name, text in FILES.items():
        (Path(sys.argv[1]) / name).write_text(text(), encoding="utf-8")
