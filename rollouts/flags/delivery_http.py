"""What SDKs are answered, without a web framework: the views and the fast edge share it."""

from __future__ import annotations

from collections.abc import Hashable

from rollouts.clock import utcnow
from rollouts.flags.answers import KEY_MISSING, KEY_REMOTE, KEY_UNKNOWN, NOTHING_YET, Answer
from rollouts.flags.delivery import Delivery
from rollouts.flags.model import Mode
from rollouts.flags.served import is_same_tag

STALE = ("x-rollouts-store", "unreachable")  # what is served may be out of date


def key_in(path: str, header: str) -> str:
    """The client key: in the path, or as growthbook-proxy also takes it, in a header.

    >>> key_in("sdk-a", "sdk-b"), key_in("", " sdk-b "), key_in("", "")
    ('sdk-a', 'sdk-b', '')
    """
    return path or header.strip()


def features(
    delivery: Delivery,
    client_key: str,
    if_none_match: str,
    accept_encoding: str,
    client: Hashable = None,
) -> Answer:
    """The payload of a client key, or that the client has it already.

    client: whatever tells those apart who ask, as `propagation.told_apart` does.
    """
    held = delivery.current(client_key)
    if held is None:
        return no_key(delivery, client_key)
    if held.connection.mode is Mode.REMOTE:
        return KEY_REMOTE
    served = held.served
    if client is not None:
        delivery.propagation.note(client_key, client, served.source, utcnow(), is_stream=False)
    if if_none_match and is_same_tag(if_none_match, served.etag):
        answer = served.not_modified
    else:
        answer = served.answer(accept_encoding)
    return answer if delivery.is_store_reachable else marked(answer)


def no_key(delivery: Delivery, client_key: str) -> Answer:
    """Why there is nothing for this key: none was sent, it is unknown, or nothing is known yet."""
    if not delivery.is_loaded:
        return NOTHING_YET
    return KEY_UNKNOWN if client_key else KEY_MISSING


def marked(answer: Answer) -> Answer:
    """The answer, saying that the store is gone and this is the last that was known."""
    return Answer(answer.status, (*answer.headers, STALE), answer.body)


def refused_stream(delivery: Delivery, client_key: str) -> Answer | None:
    """Why a client cannot follow this key, if so.

    Python's SDK gives up for good on an error, so a process that knows nothing yet accepts.
    """
    held = delivery.current(client_key)
    return KEY_UNKNOWN if held is None and delivery.is_loaded else None
