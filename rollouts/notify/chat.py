"""Chat, mail and paging services, by their Apprise addresses.

Apprise knows some 250 schemes and many parameters; some of them open local files or plain
connections. What is taken here is a list of services and, for each, a list of parameters.
Importing Apprise takes a while, so it happens where it is needed.
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import requests
from requests_hardened.ip_filter import InvalidIPAddress

from rollouts.errors import Fault, Invalid
from rollouts.notify import outbound
from rollouts.notify.model import Attempt, Message, Outcome
from rollouts.notify.outbound import Client, Network
from rollouts.notify.webhooks import PRIVATE

EVERYWHERE = frozenset({"format", "overflow"})
PARAMETERS: dict[str, frozenset[str]] = {
    "discord": frozenset({"avatar", "fields", "footer", "footer_logo", "image", "thread"}),
    "gchat": frozenset({"thread", "threadkey"}),
    "mailtos": frozenset(
        {"bcc", "cc", "from", "mode", "name", "pass", "reply", "smtp", "to", "user"}
    ),
    "ntfys": frozenset({"auth", "click", "image", "mode", "priority", "to", "xtags"}),
    "opsgenie": frozenset({"alias", "batch", "entity", "priority", "region", "tags", "to"}),
    "pagerduty": frozenset(
        {"action", "class", "click", "component", "group", "image", "region", "severity", "source"}
    ),
    "slack": frozenset({"footer", "image", "mode", "timestamp", "to"}),
    "tgram": frozenset({"content", "detect", "image", "mdv", "preview", "silent", "to", "topic"}),
    "webex": frozenset({"mode", "to"}),
    "workflows": frozenset({"image", "pa", "powerautomate", "route", "ver", "wrap"}),
    "zulip": frozenset({"to"}),
}
SECURE_MAIL = ("ssl", "starttls")


def check_address(url: str, networks: Sequence[Network]) -> None:
    """Refuse an address of a service or with a parameter that is not on the lists."""
    if not url.isprintable() or " " in url or len(url) > 2000:
        _refuse("An Apprise address is one line without spaces.")
    scheme = _scheme(url)
    if scheme not in PARAMETERS:
        _refuse(f"Take one of {', '.join(PARAMETERS)}, not {scheme[:40]!r}; or a webhook.")
    for name in _parameters(url):
        if name not in PARAMETERS[scheme] | EVERYWHERE:
            _refuse(f"The parameter {name[:40]!r} is not taken for {scheme}.")
    service = _open(url)
    if service is None:
        _refuse(f"This is no complete address of {scheme}: see Apprise's page for it.")
    if scheme == "mailtos":
        if service.secure_mode not in SECURE_MAIL:
            _refuse("Mail goes by mode=starttls or mode=ssl only.")
        _check_mail_literal(service, networks)


def shown_address(url: str) -> str:
    """As much of an address as may be shown: the rest is made of tokens."""
    return f"{_scheme(url)}://…"


def send(url: str, message: Message, networks: Sequence[Network]) -> Attempt:
    """Send once, under the rules for all that goes out."""
    try:
        check_address(url, networks)
        service = _open(url)
        if _scheme(url) == "mailtos":
            outbound.check_host(service.smtp_host, service.port or 587, networks)
    except Invalid as wrong:
        return Attempt(Outcome.REFUSED, wrong.detail[:300])
    except InvalidIPAddress:
        return Attempt(Outcome.REFUSED, PRIVATE)
    except requests.RequestException:
        return Attempt(Outcome.FAILED, "The mail server's name does not resolve.")
    _guard(type(service).__module__, networks)
    outbound.forget_refusals()
    is_sent = service.notify(title=message.subject, body=message.text(), body_format="text")
    if outbound.was_refused():
        return Attempt(Outcome.REFUSED, PRIVATE)
    if not is_sent:
        return Attempt(Outcome.FAILED, f"{_scheme(url)} did not take the message.")
    return Attempt(Outcome.DELIVERED)


class _Guarded(ModuleType):
    """Stands for `requests` in one plugin: the same module, but sending goes our way."""

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__("requests")
        self._networks = networks

    def __getattr__(self, name: str) -> Any:
        return getattr(requests, name)

    def request(self, method: str, url: str, **more: Any) -> requests.Response:
        with Client(self._networks) as client:
            response: requests.Response = client.request(method, url, **more)
            return response

    def get(self, url: str, **more: Any) -> requests.Response:
        return self.request("GET", url, **more)

    def post(self, url: str, **more: Any) -> requests.Response:
        return self.request("POST", url, **more)

    def put(self, url: str, **more: Any) -> requests.Response:
        return self.request("PUT", url, **more)

    def delete(self, url: str, **more: Any) -> requests.Response:
        return self.request("DELETE", url, **more)


def _guard(plugin: str, networks: Sequence[Network]) -> None:
    module: Any = sys.modules[plugin]
    if hasattr(module, "requests"):
        module.requests = _Guarded(networks)


@cache
def _apprise() -> Any:
    """Apprise with all its plugins, which warn about old modules of Python's as they load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        "slack" in apprise.plugins.N_MGR  # noqa: B015  # asking loads them
    # Its log repeats addresses and answers.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return apprise


def _open(url: str) -> Any:
    apprise = _apprise()
    asset = apprise.AppriseAsset(http_redirects=False, secure_logging=True)
    return apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower() if "://" in url else ""


def _parameters(url: str) -> set[str]:
    """Every name that any reader of the address could take for a parameter's."""
    read: dict[str, Any] = _apprise().utils.parse.parse_url(url, verify_host=False) or {}
    names = {str(name) for kind in ("qsd", "qsd+", "qsd-", "qsd:") for name in read.get(kind, {})}
    names |= {part.partition("=")[0] for part in re.split(r"[?&;]", url)[1:]}
    return {unquote(name).strip().lower() for name in names if name}


def _check_mail_literal(service: Any, networks: Sequence[Network]) -> None:
    try:
        outbound.check_literal(str(service.smtp_host), networks)
    except InvalidIPAddress:
        _refuse(PRIVATE)


def _refuse(problem: str) -> None:
    raise Invalid(problem, faults=(Fault("url", problem),))
