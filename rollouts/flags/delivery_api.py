"""Where SDKs come in, for servers with threads; `web/asgi.py` answers the same without them."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from rollouts.accounts.model import Access
from rollouts.flags import answers, delivery_http, evaluating
from rollouts.flags.answers import Answer
from rollouts.flags.delivery import TooManyStreams
from rollouts.flags.following import STREAM_HEADERS, Follower, follow
from rollouts.flags.propagation import told_apart
from rollouts.flags.served import Served
from rollouts.web.access import requires
from rollouts.web.context import runtime

bp = Blueprint("delivery", __name__)
KEY_HEADER = "X-GrowthBook-API-Key"


@bp.route("/api/features", methods=["GET", "HEAD"], provide_automatic_options=False)
@bp.route("/api/features/", methods=["GET", "HEAD"], provide_automatic_options=False)
@bp.route(
    "/api/features/<path:client_key>", methods=["GET", "HEAD"], provide_automatic_options=False
)
@requires(Access.CLIENT_KEY)
def get_features(client_key: str = "") -> Response:
    """The payload of a client key."""
    return to_response(
        delivery_http.features(
            runtime().delivery,
            delivery_http.key_in(client_key, request.headers.get(KEY_HEADER, "")),
            request.headers.get("If-None-Match", ""),
            request.headers.get("Accept-Encoding", ""),
            told_apart(
                request.remote_addr or "",
                request.headers.get("User-Agent", ""),
                request.headers.get("X-Client-Id", ""),
            ),
        )
    )


@bp.route("/api/features", methods=["OPTIONS"], provide_automatic_options=False)
@bp.route("/api/features/", methods=["OPTIONS"], provide_automatic_options=False)
@bp.route("/api/features/<path:client_key>", methods=["OPTIONS"], provide_automatic_options=False)
@bp.route("/sub/<path:client_key>", methods=["OPTIONS"], provide_automatic_options=False)
@bp.route("/api/eval/", methods=["OPTIONS"], provide_automatic_options=False)
@bp.route("/api/eval/<path:client_key>", methods=["OPTIONS"], provide_automatic_options=False)
@bp.route("/ofrep/v1/<path:client_key>", methods=["OPTIONS"], provide_automatic_options=False)
@requires(Access.CLIENT_KEY)
def preflight(client_key: str = "") -> Response:
    """Tell browsers that any page may ask."""
    return to_response(answers.PREFLIGHT_ANSWER)


@bp.route("/sub/<path:client_key>", methods=["GET"], provide_automatic_options=False)
@requires(Access.CLIENT_KEY)
def follow_changes(client_key: str) -> Response:
    """A stream of the payload's versions."""
    return _stream(client_key, attrgetter("frame"))


@bp.route("/ofrep/v1/stream/<path:client_key>", methods=["GET"], provide_automatic_options=False)
@requires(Access.CLIENT_KEY)
def follow_configuration(client_key: str) -> Response:
    """A stream that says when to evaluate again."""
    return _stream(client_key, attrgetter("ofrep_frame"))


def _stream(client_key: str, frame_of: Callable[[Served], bytes]) -> Response:
    delivery = runtime().delivery
    refusal = delivery_http.refused_stream(delivery, client_key)
    if refusal is not None:
        return to_response(refusal)
    try:
        delivery.admit(client_key)
    except TooManyStreams:
        return to_response(answers.TOO_MANY_STREAMS)
    last_event_id = request.headers.get("Last-Event-ID", "")
    follower = Follower(delivery, client_key, last_event_id, frame_of)
    stream = Response(follow(delivery, follower))
    stream.headers.update(STREAM_HEADERS)
    stream.call_on_close(follower.leave)
    stream.call_on_close(lambda: delivery.leave(client_key))
    return stream


@bp.route("/api/eval/", methods=["POST"], provide_automatic_options=False)
@bp.route("/api/eval/<path:client_key>", methods=["POST"], provide_automatic_options=False)
@requires(Access.CLIENT_KEY)
def evaluate_remotely(client_key: str = "") -> Response:
    """The payload reduced to one user."""
    key = delivery_http.key_in(client_key, request.headers.get(KEY_HEADER, ""))
    return _evaluated(lambda body: evaluating.remote(runtime(), key, body))


@bp.route("/ofrep/v1/evaluate/flags/<path:flag>", methods=["POST"], provide_automatic_options=False)
@requires(Access.CLIENT_KEY)
def evaluate_one(flag: str) -> Response:
    """OFREP: what one flag is worth to a context."""
    return _evaluated(lambda body: evaluating.ofrep_one(runtime(), _key(), flag, body))


@bp.route("/ofrep/v1/evaluate/flags", methods=["POST"], provide_automatic_options=False)
@requires(Access.CLIENT_KEY)
def evaluate_all() -> Response:
    """OFREP: what every flag is worth to a context."""
    wanted = request.args.get("flagConfigEtag", "")
    if evaluating.is_behind(runtime().delivery, _key(), wanted):
        runtime().delivery.refresh()
    tag = request.headers.get("If-None-Match", "")
    return _evaluated(lambda body: evaluating.ofrep_all(runtime(), _key(), body, tag, wanted))


def _evaluated(evaluate: Callable[[bytes], Answer]) -> Response:
    """Evaluate what was sent, unless it is too much."""
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        return to_response(evaluating.TOO_LARGE)
    return to_response(evaluate(body))


def _key() -> str:
    return evaluating.client_key_of(
        request.headers.get("Authorization", ""), request.headers.get("X-API-Key", "")
    )


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
