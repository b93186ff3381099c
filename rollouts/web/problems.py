"""Refusals as problem+json (RFC 9457), or as a page when a person asked for one."""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from flask import Flask, Response, g, render_template, request
from pydantic import ValidationError
from sqlalchemy.exc import DataError, OperationalError
from werkzeug.exceptions import HTTPException

from rollouts.errors import Fault, Invalid, RolloutsError, TooMany, Unavailable
from rollouts.web import json_bytes

log = structlog.get_logger()
MAX_FAULTS = 50


def register(app: Flask) -> None:
    """Answer every error in the service's own form."""
    app.register_error_handler(RolloutsError, answer_refusal)
    app.register_error_handler(ValidationError, lambda wrong: answer_refusal(from_pydantic(wrong)))
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(DataError, _answer_data)
    app.register_error_handler(OperationalError, _answer_store)
    app.register_error_handler(Exception, _answer_surprise)


def from_pydantic(wrong: ValidationError) -> Invalid:
    """Name each field that was wrong, by its JSON path."""
    faults = tuple(
        Fault(".".join(str(part) for part in item["loc"]) or "body", item["msg"])
        for item in wrong.errors(include_url=False, include_context=False, include_input=False)
    )[:MAX_FAULTS]
    named = "; ".join(f"{fault.where}: {fault.problem}" for fault in faults[:3])
    return Invalid(f"{len(faults)} thing(s) to mend. {named}", faults=faults)


def problem(
    status: int, code: str, title: str, detail: str, faults: tuple[Fault, ...] = ()
) -> Response:
    """A problem+json answer; `code` is stable, `detail` is for people."""
    body: dict[str, Any] = {
        "type": f"urn:rollouts:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id(),
    }
    if faults:
        body["errors"] = [{"where": f.where, "problem": f.problem} for f in faults]
    return Response(json_bytes.dumps(body), status, content_type="application/problem+json")


def request_id() -> str:
    """An id that ties an answer to the log."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(8)
    return str(g.request_id)


def wants_page() -> bool:
    """Whether a browser asked: pages are for people, JSON for programs."""
    if request.path.startswith(("/api/", "/v1/", "/track", "/sub/", "/ofrep/")):
        return False
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def answer_refusal(refusal: RolloutsError) -> Response:
    """Render one of our own refusals."""
    if wants_page():
        answer = _page(refusal.status, refusal.title, refusal.detail)
    else:
        answer = problem(
            refusal.status, refusal.code, refusal.title, refusal.detail, refusal.faults
        )
    if refusal.status == 401 and not wants_page():
        answer.headers["WWW-Authenticate"] = 'Bearer realm="rollouts"'
    if isinstance(refusal, TooMany):
        answer.headers["Retry-After"] = str(refusal.retry_after_seconds)
    if isinstance(refusal, Unavailable):
        answer.headers["Retry-After"] = "5"
    return answer


def _page(status: int, title: str, detail: str) -> Response:
    html = render_template(
        "web/problem.html", status=status, title=title, detail=detail, request_id=request_id()
    )
    return Response(html, status)


def _answer_http(wrong: HTTPException) -> Response:
    if wrong.response is not None and isinstance(wrong.response, Response):
        return wrong.response
    status = wrong.code or 500
    detail = (wrong.description or "").strip()
    if wants_page():
        answer = _page(status, wrong.name, detail)
    else:
        answer = problem(status, wrong.name.lower().replace(" ", "_"), wrong.name, detail)
    for name, value in wrong.get_headers(None):
        if name.lower() in ("allow", "location"):
            answer.headers[name] = value
    return answer


def _answer_data(wrong: DataError) -> Response:
    """PostgreSQL takes no NUL in text and no number beyond its columns."""
    return answer_refusal(
        Invalid(
            "Something in the request cannot be stored: a NUL character, or a number too large."
        )
    )


def _answer_store(wrong: OperationalError) -> Response:
    log.error("store_unreachable", error=type(wrong.orig).__name__, request_id=request_id())
    return answer_refusal(
        Unavailable("The store does not answer. Nothing was changed; try again in a few seconds.")
    )


def _answer_surprise(wrong: Exception) -> Response:
    log.exception("unexpected_error", path=request.path, request_id=request_id(), exc_info=wrong)
    detail = f"The service failed on this request; it is logged as {request_id()}."
    if wants_page():
        return _page(500, "Something went wrong here", detail)
    return problem(500, "unexpected", "Something went wrong here", detail)
