"""Flags evaluated here for whoever asks: GrowthBook's remote evaluation and OFREP.

Without a web framework, so that the views and the fast edge give the same answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rollouts.errors import Malformed
from rollouts.flags import ofrep, sticky_store
from rollouts.flags.answers import (
    CORS,
    FOR_GOOD,
    JSON_TYPE,
    NO_STORE,
    Answer,
    failure,
)
from rollouts.flags.delivery import Delivery, Held
from rollouts.flags.delivery_http import no_key
from rollouts.flags.evaluation.results import StickyDocument, User
from rollouts.flags.model import Mode
from rollouts.flags.ofrep import InvalidContext
from rollouts.flags.remote import RemoteRequest, evaluate_remote
from rollouts.flags.served import is_same_tag
from rollouts.runtime import Runtime
from rollouts.web import json_bytes

log = structlog.get_logger()

KEY_NOT_REMOTE: Final = failure(400, "Remote evaluation disabled for this connection", FOR_GOOD)
INPUT_WRONG: Final = failure(400, "Invalid input")
TOO_LARGE: Final = failure(413, "Invalid input")
EVALUATED: Final = (JSON_TYPE, NO_STORE, ("x-sse-support", "enabled"), *CORS)
CHALLENGE: Final = ("WWW-Authenticate", 'Bearer realm="rollouts"')
OFREP_TYPES: Final = (JSON_TYPE, ("Cache-Control", "no-cache"), *CORS)

Sticky = dict[str, StickyDocument]


def remote(parts: Runtime, client_key: str, body: bytes) -> Answer:
    """The payload reduced to one user. Raises nothing: refusals are answers."""
    held = parts.delivery.current(client_key)
    if held is None:
        return no_key(parts.delivery, client_key)
    if held.connection.mode is not Mode.REMOTE:
        return KEY_NOT_REMOTE
    try:
        request = RemoteRequest.of_json(json_bytes.loads(body))
    except Malformed:
        return INPUT_WRONG
    known = _kept(parts, held, request.attributes)
    told = {"dateUpdated": held.served.date_updated}
    found = evaluate_remote(held.served.program, told, request, known)
    _keep(parts, held, found.sticky)
    return Answer(200, EVALUATED, json_bytes.dumps(found.body))


def needs_store(delivery: Delivery, client_key: str) -> bool:
    """Whether evaluating for this key reads the store, and so must not be done in an event loop."""
    held = delivery.current(client_key)
    return held is not None and held.connection.options.is_sticky


def _kept(parts: Runtime, held: Held, attributes: Mapping[str, object]) -> Sticky | None:
    """The variations the unit keeps; None if the connection keeps none."""
    if not held.connection.options.is_sticky:
        return None
    keys = held.served.program.sticky_keys(attributes)
    try:
        with parts.db.reading() as session:
            return sticky_store.find_documents(session, held.connection.environment_id, keys)
    except SQLAlchemyError as wrong:
        log.warning("sticky_buckets_unreachable", error=type(wrong).__name__)
        return {}


def _keep(parts: Runtime, held: Held, changed: Sticky) -> None:
    if not changed:
        return
    try:
        with parts.db.transaction() as session:
            environment_id = held.connection.environment_id
            sticky_store.save_documents(session, environment_id, changed, parts.now())
    except SQLAlchemyError as wrong:
        log.warning("sticky_buckets_not_kept", error=type(wrong).__name__)


# OFREP


def client_key_of(authorization: str, x_api_key: str) -> str:
    """The client key in a request's headers: a Bearer token or X-API-Key."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else x_api_key.strip()


def ofrep_one(parts: Runtime, client_key: str, flag: str, body: bytes) -> Answer:
    """What one flag is worth to a context."""
    held = parts.delivery.current(client_key)
    if held is None:
        return _refused(parts.delivery, {"key": flag})
    try:
        user = _user(parts, held, body)
    except Malformed as wrong:
        return _ofrep(400, {"key": flag, **_unreadable(wrong)})
    except InvalidContext as refusal:
        return _ofrep(400, {"key": flag, **ofrep.refusal_of(refusal)})
    told = _metadata(held, user)
    (status, found), changed = ofrep.evaluate_one(held.served.program, flag, user, metadata=told)
    _keep(parts, held, changed)
    return _ofrep(status, found)


def ofrep_all(
    parts: Runtime, client_key: str, body: bytes, if_none_match: str, wanted_config: str
) -> Answer:
    """What every flag is worth to a context.

    wanted_config: the configuration that an event announced. A server that has another one must
    not say that nothing has changed.
    """
    held = parts.delivery.current(client_key)
    if held is None:
        return _refused(parts.delivery, {})
    try:
        user = _user(parts, held, body)
    except Malformed as wrong:
        return _ofrep(400, _unreadable(wrong))
    except InvalidContext as refusal:
        return _ofrep(400, ofrep.refusal_of(refusal))
    found, changed = ofrep.evaluate_bulk(
        held.served.program,
        user,
        metadata=_metadata(held, user),
        event_streams=[
            {"type": "sse", "endpoint": {"requestUri": f"/ofrep/v1/stream/{client_key}"}}
        ],
    )
    _keep(parts, held, changed)
    whole = json_bytes.dumps(found)
    tag = ofrep.etag_of(whole)
    is_current = wanted_config in ("", held.served.event_id)
    if if_none_match and is_current and is_same_tag(if_none_match, tag):
        return Answer(304, (*OFREP_TYPES, ("ETag", tag)))
    return Answer(200, (*OFREP_TYPES, ("ETag", tag)), whole)


def is_behind(delivery: Delivery, client_key: str, wanted_config: str) -> bool:
    """Whether a client knows of a configuration that this process has not seen yet."""
    held = delivery.current(client_key)
    return held is not None and wanted_config not in ("", held.served.event_id)


def _user(parts: Runtime, held: Held, body: bytes) -> User:
    """Whom the flags are asked for, and what they keep. Raises Malformed, InvalidContext."""
    attributes = ofrep.attributes_of(_context(body))
    return User(attributes, sticky=_kept(parts, held, attributes))


def _context(body: bytes) -> object:
    """The member `context`. Python's provider sends none at all at times."""
    read = json_bytes.loads(body) if body.strip() else {}
    if not isinstance(read, dict):
        raise Malformed("The body must be an object.")
    return read.get("context")


def _metadata(held: Held, user: User) -> dict[str, str | float | bool]:
    """What OpenTelemetry's conventions want to know beside the flag."""
    return {
        **ofrep.context_id(user.attributes),
        "flagSetId": held.connection.environment_key,
        "version": str(held.served.source.version),
    }


def _unreadable(wrong: Malformed) -> dict[str, Any]:
    return {"errorCode": "PARSE_ERROR", "errorDetails": wrong.detail}


def _refused(delivery: Delivery, named: dict[str, str]) -> Answer:
    """Not signed in, or nothing to evaluate yet."""
    if delivery.is_loaded:
        details = "Send a client key: as `Authorization: Bearer sdk-...` or as `X-API-Key`."
        return _ofrep(401, {**named, "errorCode": "GENERAL", "errorDetails": details}, CHALLENGE)
    details = "The service has nothing to evaluate yet. Try again in a few seconds."
    body = {**named, "errorCode": "PROVIDER_NOT_READY", "errorDetails": details}
    return _ofrep(503, body, ("Retry-After", "5"))


def _ofrep(status: int, body: dict[str, Any], *more: tuple[str, str]) -> Answer:
    return Answer(status, (*OFREP_TYPES, *more), json_bytes.dumps(body))
