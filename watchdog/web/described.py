"""The API's description as it is served: what `make reference` has written from the operations and their types."""

import json
from pathlib import Path
from typing import Any

from watchdog.core.release import VERSION

FILE = Path(__file__).with_name("openapi.json")


def document(*, with_changes: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 document; without changes only what can be read."""
    whole: dict[str, Any] = json.loads(FILE.read_bytes())
    whole["info"]["version"] = VERSION
    if not with_changes:
        whole["paths"] = {path: read for path, methods in whole["paths"].items() if (read := _reading(methods))}
    return whole


def _reading(methods: dict[str, Any]) -> dict[str, Any]:
    return {method: operation for method, operation in methods.items() if "security" not in operation}
