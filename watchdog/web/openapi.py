"""The API's description, made from the table of operations that serves it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from watchdog.core.release import version
from watchdog.web.operations import PATH_PARAMETER, Operation
from watchdog.web.shapes import BIGGEST_ID, Problem

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


def describe(operations: Iterable[Operation]) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    operations = list(operations)
    bodies = {operation.body for operation in operations if operation.body}
    answers = {operation.answer for operation in operations} | {Problem}
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = []
    wanted += [(model, "validation") for model in sorted(bodies, key=lambda model: model.__name__)]
    wanted += [(model, "serialization") for model in sorted(answers, key=lambda model: model.__name__)]
    references, definitions = models_json_schema(wanted, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        shown = PATH_PARAMETER.sub(r"{\1}", operation.path)
        paths.setdefault(shown, {})[operation.method.lower()] = _operation(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "scheduler-watchdog", "version": version()},
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation, references: Mapping[Any, Any]) -> dict[str, Any]:
    problem = _content(references[Problem, "serialization"])
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
        body = _content(references[operation.body, "validation"])
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


def _query_parameters(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    schema = query.model_json_schema()
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": part}
        for name, part in schema["properties"].items()
    ]
