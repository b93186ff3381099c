"""The one way out: requests that cannot be turned against the network we stand in.

`requests-hardened` resolves a name once, refuses private addresses in all their disguises, and
connects to the very address it checked. Here is added: networks that the operator allows, a whole
request bounded in time and size, no redirects, no proxies from the environment.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS = 2.0, 5.0, 10.0
LONGEST_ANSWER = 64_000

_CONFIG = Config(
    ip_filter_enable=True,
    ip_filter_allow_loopback_ips=False,
    never_redirect=True,
    default_timeout=(CONNECT_SECONDS, READ_SECONDS),
    user_agent_override="Rollouts",
)

# At debug level these libraries write whole addresses, which may hold secrets.
for _name in ("urllib3", "requests_hardened"):
    logging.getLogger(_name).setLevel(logging.ERROR)

_here = threading.local()


class Client(HTTPSession):  # type: ignore[misc]
    """A session for one try. Private addresses are refused unless a network allows them."""

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__(_CONFIG)
        self.trust_env = False
        for scheme in ("http", "https"):
            self.mount(f"{scheme}://", _Adapter(scheme == "https", networks))

    def request(self, method: str, url: str, **more: Any) -> requests.Response:
        """Send, and read no more of the answer than is safe."""
        more |= {"stream": True, "allow_redirects": False, "verify": True}
        more["timeout"] = (CONNECT_SECONDS, READ_SECONDS)
        response: requests.Response = super().request(method, url, **more)
        _read(response, until=time.monotonic() + WHOLE_SECONDS)
        return response


def was_refused() -> bool:
    """Whether an address was refused in this thread since `forget_refusals`."""
    return bool(getattr(_here, "refused", False))


def forget_refusals() -> None:
    """Start anew, before a try whose library swallows our refusal."""
    _here.refused = False


def check_host(host: str, port: int, networks: Sequence[Network]) -> None:
    """Refuse a host that leads into a private network, for what does not use `Client`."""
    address = _resolve(host, port)
    if not _is_allowed(address, networks):
        _check_public(address)


def check_literal(host: str, networks: Sequence[Network]) -> None:
    """Refuse an address that is written out and private; names are checked at each delivery."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if not _is_allowed(_unmapped(address), networks):
        _check_public(_unmapped(address))


class _Adapter(IPFilterAdapter):  # type: ignore[misc]
    """Connects to the address that was checked, under the name that was asked for."""

    def __init__(self, is_https: bool, networks: Sequence[Network]) -> None:
        super().__init__(is_https_proto=is_https)
        self._is_https = is_https
        self._networks = tuple(networks)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        parts = urlsplit(request.url or "")
        host, port = parts.hostname or "", parts.port or (443 if self._is_https else 80)
        allowed = self._find_allowed(str(host), int(port))
        if allowed is not None:
            return self._pin(request, verify, cert, str(host), allowed)
        try:
            params, pool = super().build_connection_pool_key_attributes(request, verify, cert)
            _check_public(ipaddress.ip_address(params["host"].strip("[]")))
        except InvalidIPAddress:
            _here.refused = True
            raise
        return params, pool

    def _find_allowed(self, host: str, port: int) -> Address | None:
        if not self._networks:
            return None
        address = _resolve(host, port)
        return address if _is_allowed(address, self._networks) else None

    def _pin(
        self, request: requests.PreparedRequest, verify: Any, cert: Any, host: str, to: Address
    ) -> tuple[Any, Any]:
        params, pool = HTTPAdapter.build_connection_pool_key_attributes(self, request, verify, cert)
        request.headers = CaseInsensitiveDict(request.headers)
        request.headers["Host"] = urlsplit(str(request.url)).netloc.rpartition("@")[2]
        named: dict[str, Any] = {"assert_hostname": host, "server_hostname": host}
        pinned = {"host": f"[{to}]" if to.version == 6 else str(to)}
        return {**params, **pinned}, {**pool, **named} if self._is_https else pool


def _read(response: requests.Response, until: float) -> None:
    """Keep at most so much of an answer, however slowly it drips."""
    held = b""
    try:
        for part in response.iter_content(4096):
            held += part
            if len(held) >= LONGEST_ANSWER or time.monotonic() > until:
                break
    finally:
        response.close()
    response._content = held[:LONGEST_ANSWER]


def _resolve(host: str, port: int) -> Address:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise requests.ConnectionError("the name does not resolve") from None
    return _unmapped(ipaddress.ip_address(str(found[0][4][0]).partition("%")[0]))


def _unmapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_allowed(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _check_public(address: Address) -> None:
    """What the library lets pass besides: old local ranges, and all that is only reserved."""
    is_odd = address.is_reserved or address.is_multicast or address.is_link_local
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.sixtofour or (address.teredo[1] if address.teredo else None)
        is_odd = is_odd or address.is_site_local or inner is not None
        is_odd = is_odd or address in ipaddress.ip_network("64:ff9b::/96")
    if is_odd or not address.is_global:
        _here.refused = True
        raise InvalidIPAddress(str(address))
