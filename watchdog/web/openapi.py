"""The API's description, made from the table of operations that serves it: `make reference` writes it down, so that
serving it needs none of what it takes to make it."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from watchdog.core.fields import Frozen, adapter
from watchdog.web import shapes
from watchdog.web.api import Api
from watchdog.web.operations import PATH_PARAMETER, Operation
from watchdog.web.questions import BIGGEST_ID

_REFERENCE = "#/components/schemas/{model}"
_REASONS = {
    400: "The body is not JSON.",
    401: "No token, or a wrong one.",
    429: "Too many wrong tokens came from this address.",
    404: "There is no such thing.",
    405: "Not with this method.",
    409: "Not now, for the reason that is given.",
    413: "The body is too big.",
    415: "The body is not `application/json`.",
    422: "What is asked is not understood.",
    503: "The first look is still going on, or the state file cannot be used.",
}


def text() -> str:
    """The description of all there is, as it stands in its file."""
    nothing: Any = None
    return json.dumps(describe(Api(nothing, nothing).all_operations(nothing)), indent=1, ensure_ascii=False) + "\n"


def describe(operations: Iterable[Operation]) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    operations = list(operations)
    bodies = {operation.body.__name__: operation.body for operation in operations if operation.body}
    answers = {operation.answer for operation in operations} | {"Problem"}
    wanted: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = []
    wanted += [(name, "validation", adapter(bodies[name])) for name in sorted(bodies)]
    wanted += [(name, "serialization", adapter(getattr(shapes, name))) for name in sorted(answers)]
    references, definitions = TypeAdapter.json_schemas(wanted, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        shown = PATH_PARAMETER.sub(r"{\1}", operation.path)
        paths.setdefault(shown, {})[operation.method.lower()] = _operation(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "scheduler-watchdog", "version": ""},
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation, references: Mapping[Any, Any]) -> dict[str, Any]:
    problem = _content(references["Problem", "serialization"])
    answers: dict[str, Any] = {
        str(operation.status): {
            "description": operation.summary,
            "content": _content(references[operation.answer, "serialization"]),
        }
    }
    answers |= {str(status): {"description": _REASONS[status], "content": problem} for status in operation.refusals}
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation.query)],
        "responses": answers,
    }
    if operation.body:
        body = _content(references[operation.body.__name__, "validation"])
        described["requestBody"] = {"required": True, "content": body}
    if operation.needs_token:
        described["security"] = [{"token": []}]
    return described


def _content(reference: object) -> dict[str, Any]:
    return {"application/json": {"schema": reference}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    number = {"type": "integer", "minimum": 1, "maximum": BIGGEST_ID}
    names = re.findall(PATH_PARAMETER, path)
    return [{"name": name, "in": "path", "required": True, "schema": number} for name in names]


def _query_parameters(query: type[Frozen] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    schema = adapter(query).json_schema()
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": part}
        for name, part in schema["properties"].items()
    ]
