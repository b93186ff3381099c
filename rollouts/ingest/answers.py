"""What senders are told, without a web framework, so that any server can tell them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from rollouts.errors import RolloutsError, TooMany, Unavailable
from rollouts.ingest.model import Answer
from rollouts.web import json_bytes

NAMED_MAX = 1_000  # refused events that one answer names
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
NO_HEADERS: Mapping[str, str] = {}

Rejected = dict[str, Any]


def rejection(index: int, message_id: str | None, reason: str) -> Rejected:
    """One refused event, by its place in the batch."""
    return {"index": index, "messageId": message_id, "reason": reason}


def success(
    n_accepted: int, rejected: Sequence[Rejected], headers: Mapping[str, str] = NO_HEADERS
) -> Answer:
    """The events are durable, but for those that are named."""
    body: dict[str, Any] = {
        "success": True,
        "accepted": n_accepted,
        "rejected": rejected[:NAMED_MAX],
    }
    if len(rejected) > NAMED_MAX:
        body["rejected_count"] = len(rejected)
    return Answer(200, json_bytes.dumps(body), headers=headers)


def nothing_usable(rejected: Sequence[Rejected], headers: Mapping[str, str] = NO_HEADERS) -> Answer:
    """Not one event could be used."""
    first = rejected[0]["reason"]
    return _problem(
        400,
        "nothing_usable",
        "No event could be used",
        f"{len(rejected)} event(s) refused. The first: {first}.",
        headers,
        rejected=rejected[:NAMED_MAX],
    )


def refusal(wrong: RolloutsError, headers: Mapping[str, str] = NO_HEADERS) -> Answer:
    """The whole request is refused."""
    extra: dict[str, str] = {}
    if wrong.status == 401:
        extra["WWW-Authenticate"] = 'Basic realm="rollouts"'
    if isinstance(wrong, TooMany):
        extra["Retry-After"] = str(wrong.retry_after_seconds)
    if isinstance(wrong, Unavailable):
        extra["Retry-After"] = "5"
    return _problem(wrong.status, wrong.code, wrong.title, wrong.detail, {**headers, **extra})


def _problem(
    status: int, code: str, title: str, detail: str, headers: Mapping[str, str], **more: Any
) -> Answer:
    body = {
        "type": f"urn:rollouts:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": secrets.token_hex(8),
        **more,
    }
    return Answer(status, json_bytes.dumps(body), "application/problem+json", headers)
