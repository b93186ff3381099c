"""Where SDKs come in, for servers with threads; `web/asgi.py` answers the same without them."""

from __future__ import annotations

from flask import Blueprint, Response, request

from rollouts.accounts.model import Access
from rollouts.flags import answers, delivery_http
from rollouts.flags.answers import Answer
from rollouts.flags.delivery import TooManyStreams
from rollouts.flags.following import STREAM_HEADERS, follow
from rollouts.web.access import requires
from rollouts.web.context import runtime

bp = Blueprint("delivery", __name__)


@bp.route(
    "/api/features/<path:client_key>", methods=["GET", "HEAD"], provide_automatic_options=False
)
@requires(Access.CLIENT_KEY)
def get_features(client_key: str) -> Response:
    """The payload of a client key."""
    return to_response(
        delivery_http.features(
            runtime().delivery,
            client_key,
            request.headers.get("If-None-Match", ""),
            request.headers.get("Accept-Encoding", ""),
        )
    )


@bp.route("/api/features/<path:client_key>", methods=["OPTIONS"], provide_automatic_options=False)
@bp.route("/sub/<path:client_key>", methods=["OPTIONS"], provide_automatic_options=False)
@requires(Access.CLIENT_KEY)
def preflight(client_key: str) -> Response:
    """Tell browsers that any page may ask."""
    return to_response(answers.PREFLIGHT_ANSWER)


@bp.route("/sub/<path:client_key>", methods=["GET"], provide_automatic_options=False)
@requires(Access.CLIENT_KEY)
def follow_changes(client_key: str) -> Response:
    """A stream of the payload's versions."""
    delivery = runtime().delivery
    refusal = delivery_http.refused_stream(delivery, client_key)
    if refusal is not None:
        return to_response(refusal)
    try:
        delivery.admit(client_key)
    except TooManyStreams:
        return to_response(answers.TOO_MANY_STREAMS)
    events = follow(delivery, client_key, request.headers.get("Last-Event-ID", ""))
    stream = Response(events, 200)
    stream.headers.update(STREAM_HEADERS)
    stream.call_on_close(lambda: delivery.leave(client_key))
    return stream


@bp.get("/healthcheck")
@requires(Access.ANYONE)
def healthcheck() -> Response:
    """What GrowthBook's proxy answers to its load balancer."""
    return to_response(answers.HEALTHY)


def to_response(answer: Answer) -> Response:
    """An answer as Flask sends it."""
    response = Response(answer.body, answer.status)
    del response.headers["Content-Type"]
    response.headers.extend(answer.headers)
    return response
