"""Where events come in over HTTP: plain views, since their formats are not ours to describe."""

from __future__ import annotations

from flask import Blueprint, Response, request

from rollouts.accounts.model import Access
from rollouts.errors import TooLarge
from rollouts.ingest import answers, otlp, otlp_service, service
from rollouts.ingest.callers import foreign_origin
from rollouts.ingest.model import Answer
from rollouts.web.access import requires
from rollouts.web.context import now, runtime

bp = Blueprint("ingest", __name__)

PREFLIGHT = {
    **answers.ANY_ORIGIN,
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "content-type",
    "Access-Control-Max-Age": "86400",
}
# OpenTelemetry's exporters in pages send the key in a header, and JSON.
OTLP_PREFLIGHT = {
    **PREFLIGHT,
    "Access-Control-Allow-Headers": "authorization, content-encoding, content-type",
}


@bp.route("/track", methods=["POST", "OPTIONS"])
@requires(Access.CLIENT_KEY)
def track_growthbook() -> Response:
    """Events of GrowthBook's tracking plugins, which send them as text/plain."""
    if request.method == "OPTIONS":
        return Response(status=204, headers=PREFLIGHT)
    try:
        body = _body(runtime().settings.ingest_max_bytes)
    except TooLarge as wrong:
        return _response(answers.refusal(wrong, answers.ANY_ORIGIN))
    return _response(
        service.accept_growthbook(
            runtime(),
            client_key=request.args.get("client_key", ""),
            body=body,
            content_encoding=request.headers.get("Content-Encoding", ""),
            now=now(),
        )
    )


@bp.post("/v1/<any(batch, track, identify, page, screen, group, alias):kind>")
@requires(Access.WRITE_KEY)
def take_segment(kind: str) -> Response:
    """Events of Segment's HTTP API."""
    return _response(
        service.accept_segment(
            runtime(),
            kind=kind,
            authorization=request.headers.get("Authorization", ""),
            body=_body(runtime().settings.ingest_max_bytes),
            content_encoding=request.headers.get("Content-Encoding", ""),
            now=now(),
            origin=_foreign_origin(),
        )
    )


@bp.route("/v1/<any(logs, traces):signal>", methods=["POST", "OPTIONS"])
@requires(Access.WRITE_KEY)
def take_otlp(signal: str) -> Response:
    """Flag evaluations that OpenTelemetry logs, or notes in spans, by OTLP."""
    if request.method == "OPTIONS":
        return Response(status=204, headers=OTLP_PREFLIGHT)
    content_type = request.headers.get("Content-Type", "")
    try:
        body = _body(runtime().settings.otlp_max_bytes)
    except TooLarge as wrong:
        return _response(otlp.refusal(wrong, content_type))
    return _response(
        otlp_service.accept_otlp(
            runtime(),
            otlp.Signal(signal),
            authorization=request.headers.get("Authorization", ""),
            body=body,
            content_type=content_type,
            content_encoding=request.headers.get("Content-Encoding", ""),
            now=now(),
            origin=_foreign_origin(),
        )
    )


def _foreign_origin() -> str:
    origin = request.headers.get("Origin", "")
    return foreign_origin(origin, request.host, runtime().settings.base_url)


def _body(limit: int) -> bytes:
    """The body as sent, read no further than its limit. Raises TooLarge."""
    if (request.content_length or 0) > limit:
        raise TooLarge(f"A body may have {limit:,} bytes. Send smaller batches.")
    request.max_content_length = limit + 1  # ours, whatever the pages around it have
    return request.stream.read(limit + 1)


def _response(answer: Answer) -> Response:
    response = Response(answer.body, answer.status, content_type=answer.content_type)
    response.headers.update(answer.headers)
    return response
