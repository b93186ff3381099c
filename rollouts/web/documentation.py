"""The API's description: OpenAPI 3.1 as JSON, and as a page that needs no script."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, render_template
from flask_openapi3 import OpenAPI

from rollouts.accounts.model import Role
from rollouts.web import json_bytes
from rollouts.web.access import required_of, requires

bp = Blueprint("documentation", __name__)
PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457); `code` is stable, `errors` names each place.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"where": {"type": "string"}, "problem": {"type": "string"}},
            },
        },
    },
}


def finish(app: OpenAPI) -> None:
    """Complete the description once every route is known: roles, problems, keys."""
    spec: dict[str, Any] = app.api_doc
    spec["info"]["description"] = (
        "Flags, metrics, tolerances, rollouts and their results. Send an API key as "
        "`Authorization: Bearer <key>`. Errors are problem+json."
    )
    spec.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    roles = _roles(app)
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            _complete(operation, roles.get((path, method.upper())))


def _roles(app: OpenAPI) -> dict[tuple[str, str], str]:
    held = {}
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<path:", "<").replace("<int:", "<")
        path = path.replace("<", "{").replace(">", "}")
        for method in rule.methods or ():
            held[path, method] = str(required_of(app, rule.endpoint))
    return held


def _complete(operation: dict[str, Any], role: str | None) -> None:
    if role is not None:
        operation["x-required-role"] = role
    answers = operation.setdefault("responses", {})
    answers.pop("422", None)
    answers.setdefault("200", {"description": "Done."})
    answers["default"] = {
        "description": "Refused.",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
    operation["security"] = [{"key": []}]


@bp.get("/api/v1/openapi.json")
@requires(Role.READER)
def openapi() -> Response:
    """The description of the API, for programs."""
    assert isinstance(current_app, OpenAPI) or hasattr(current_app, "api_doc")
    return Response(json_bytes.dumps(current_app.api_doc), content_type="application/json")


@bp.get("/docs")
@requires(Role.READER)
def page() -> str:
    """The description of the API, for people."""
    spec = current_app.api_doc  # type: ignore[attr-defined]
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in sorted(spec["paths"].items()):
        for method, operation in item.items():
            group = (operation.get("tags") or ["Other"])[0]
            groups.setdefault(group, []).append(_shown(spec, path, method, operation))
    return render_template("web/docs.html", groups=groups, info=spec["info"])


def _shown(
    spec: dict[str, Any], path: str, method: str, operation: dict[str, Any]
) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return {
        "path": path,
        "method": method.upper(),
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "role": operation.get("x-required-role", ""),
        "parameters": operation.get("parameters", []),
        "fields": _fields(spec, schema) if schema else [],
        "id": operation.get("operationId", ""),
    }


def _fields(spec: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    held = _resolve(spec, schema)
    required = set(held.get("required", []))
    return [
        {
            "name": name,
            "type": _type(spec, item),
            "required": name in required,
            "default": item.get("default"),
            "has_default": "default" in item,
            "description": item.get("description", ""),
        }
        for name, item in held.get("properties", {}).items()
    ]


def _resolve(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    ref = schema.get("$ref", "")
    if not ref:
        return schema
    found: dict[str, Any] = spec["components"]["schemas"].get(ref.rsplit("/", 1)[-1], {})
    return found


def _type(spec: dict[str, Any], schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(spec, item) for item in schema["anyOf"])
    held = _resolve(spec, schema)
    if "enum" in held:
        return " | ".join(str(item) for item in held["enum"])
    if held.get("type") == "array":
        return f"list of {_type(spec, held.get('items', {}))}"
    return str(held.get("title") if "$ref" in schema else held.get("type", "any"))
