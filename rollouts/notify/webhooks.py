"""Webhooks, signed as the Standard Webhooks specification says."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

import requests
from requests_hardened.ip_filter import InvalidIPAddress
from standardwebhooks import Webhook
from urllib3.exceptions import HTTPError

from rollouts.errors import Fault, Invalid
from rollouts.notify.model import Attempt, Message, Outcome
from rollouts.notify.outbound import Client, Network, check_literal
from rollouts.web import json_bytes

PREFIX = "whsec_"
PRIVATE = "The address is private and ROLLOUTS_OUTBOUND_ALLOW does not list its network."


def make_secret() -> str:
    """A new signing secret of 256 random bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> None:
    """Refuse a secret that is none: 24 to 64 bytes as base64 behind `whsec_`."""
    try:
        held = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        held = b""
    if not secret.startswith(PREFIX) or not 24 <= len(held) <= 64:
        _refuse("secret", "A secret is `whsec_` and 24 to 64 bytes as base64.")


def check_address(url: str, networks: Sequence[Network]) -> None:
    """Refuse an address that is none, or that is plainly private."""
    problem = "An address of a webhook is http:// or https://, a host, and no name or password."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        _refuse("url", problem)
    if parts.scheme not in ("http", "https") or not host or port == 0 or "@" in parts.netloc:
        _refuse("url", problem)
    if not url.isprintable() or " " in url or "\\" in url:
        _refuse("url", problem)
    try:
        check_literal(str(host), networks)
    except InvalidIPAddress:
        _refuse("url", PRIVATE)


def shown_address(url: str) -> str:
    """As much of an address as may be shown: paths often hold a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"[:300]


def send(
    url: str, secret: str, message: Message, networks: Sequence[Network], *, now: datetime
) -> Attempt:
    """Send once. The id stays the same at every try, so that receivers can drop repeats."""
    body = json_bytes.dumps(message.body())
    headers = {
        "content-type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message.id, now, body.decode()),
    }
    try:
        with Client(networks) as client:
            status = client.request("POST", url, data=body, headers=headers).status_code
    except InvalidIPAddress:
        return Attempt(Outcome.REFUSED, PRIVATE)
    except (requests.RequestException, HTTPError, OSError, ValueError) as wrong:
        return Attempt(Outcome.FAILED, _words(wrong))
    return _judge(status)


def _judge(status: int) -> Attempt:
    if 200 <= status < 300:
        return Attempt(Outcome.DELIVERED)
    if status == 410:
        return Attempt(Outcome.GONE, "The receiver answered 410: it wants nothing any more.")
    if 300 <= status < 400:
        return Attempt(Outcome.FAILED, f"The receiver answered {status}; we follow no redirects.")
    return Attempt(Outcome.FAILED, f"The receiver answered {status}.")


def _words(wrong: Exception) -> str:
    """What went wrong, without the library's text: it repeats the address."""
    for kind, words in (
        (requests.exceptions.SSLError, "The receiver's certificate is not valid."),
        (requests.exceptions.ConnectTimeout, "The receiver could not be reached in time."),
        (requests.exceptions.Timeout, "The receiver did not answer in time."),
        (requests.exceptions.ConnectionError, "The receiver could not be reached."),
    ):
        if isinstance(wrong, kind):
            return words
    return "The receiver's answer could not be read."


def _refuse(where: str, problem: str) -> None:
    raise Invalid(problem, faults=(Fault(where, problem),))
