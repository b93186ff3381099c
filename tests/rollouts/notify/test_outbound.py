"""Where deliveries may go, and where they may not, however the address is disguised."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from requests_hardened.ip_filter import InvalidIPAddress

from rollouts.errors import Invalid
from rollouts.notify import outbound, webhooks
from rollouts.notify.outbound import Client

from .receiver import Receiver, receiving
from .tls import make_tls

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
DISGUISES = [
    "127.0.0.1",
    "localhost",
    "2130706433",
    "0177.0.0.1",
    "0x7f.1",
    "127.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.5.5",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::1]",
    "[2001:0:7f00:1::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[ff02::1]",
]

Resolve = Callable[[dict[str, list[str]]], None]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Have names resolve as the test says, each time to the next address, the last repeats."""
    real = socket.getaddrinfo

    def install(names: dict[str, list[str]]) -> None:
        def answer(host: Any, *rest: Any, **more: Any) -> Any:
            known = names.get(host)
            if known is not None:
                host = known.pop(0) if len(known) > 1 else known[0]
            return real(host, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    return install


@pytest.mark.parametrize("host", DISGUISES)
def test_private_addresses_are_refused_in_every_spelling(host: str) -> None:
    """Nothing is connected to: the refusal comes before."""
    outbound.forget_refusals()

    with Client([]) as client, pytest.raises((InvalidIPAddress, requests.ConnectionError)) as why:
        client.request("POST", f"http://{host}:9/", data=b"")

    resolves = not isinstance(why.value, requests.ConnectionError)
    assert outbound.was_refused() is resolves
    assert resolves or "resolve" in str(why.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "::ffff:127.0.0.1"])
def test_the_check_for_what_has_its_own_connection_refuses_the_same(host: str) -> None:
    """Mail goes another way, under the same rule."""
    with pytest.raises(InvalidIPAddress):
        outbound.check_host(host, 25, [])


def test_a_name_that_leads_home_is_refused_and_allowed_by_the_network(
    receiver: Receiver, resolve: Resolve
) -> None:
    """What counts is the address that the name resolves to at this moment."""
    resolve({"hooks.example": ["127.0.0.1"]})
    url = f"http://hooks.example:{receiver.port}/x"

    with Client([]) as client, pytest.raises(InvalidIPAddress):
        client.request("POST", url)
    with Client(LOOPBACK) as client:
        assert client.request("POST", url).status_code == 204

    assert receiver.arrived[0].headers["host"] == f"hooks.example:{receiver.port}"


def test_a_name_that_changes_its_mind_is_connected_to_as_checked(
    receiver: Receiver, resolve: Resolve
) -> None:
    """A second answer from the name server finds nobody who asks for it."""
    resolve({"rebind.example": ["127.0.0.1", "10.0.0.1"]})
    with Client(LOOPBACK) as client:
        assert client.request("POST", f"http://rebind.example:{receiver.port}/").ok

    resolve({"rebind.example": ["10.0.0.1", "127.0.0.1"]})
    with Client([]) as client, pytest.raises(InvalidIPAddress):
        client.request("POST", f"http://rebind.example:{receiver.port}/")
    assert len(receiver.arrived) == 1


def test_only_listed_networks_are_allowed(receiver: Receiver) -> None:
    """One network allowed does not open another."""
    with Client([ipaddress.ip_network("10.0.0.0/8")]) as client, pytest.raises(InvalidIPAddress):
        client.request("POST", receiver.url)


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    """A public receiver cannot send us on to a private one."""
    receiver.answers, receiver.headers = [307], {"Location": receiver.url + "/again"}

    with Client(LOOPBACK) as client:
        assert client.request("POST", receiver.url).status_code == 307

    assert len(receiver.arrived) == 1


def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect in our place, past every check."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with Client(LOOPBACK) as client:
        assert client.request("POST", receiver.url).ok


def test_answers_are_cut(receiver: Receiver) -> None:
    """Plugins that read the answer get its beginning only."""
    receiver.answers, receiver.body = [200], b"x" * 1_000_000

    with Client(LOOPBACK) as client:
        assert len(client.request("POST", receiver.url).content) == outbound.LONGEST_ANSWER


def test_https_is_verified_against_the_name_that_was_asked_for(
    tmp_path: Path, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connected by address, certified by name: the right name passes, others do not."""
    context, authority = make_tls(tmp_path, "hooks.example")
    resolve({"hooks.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})
    with receiving(context) as receiver:
        unknown = f"https://hooks.example:{receiver.port}/"
        with Client(LOOPBACK) as client, pytest.raises(requests.exceptions.SSLError):
            client.request("POST", unknown)
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(authority))
        with Client(LOOPBACK) as client:
            assert client.request("POST", unknown).ok
        with Client(LOOPBACK) as client, pytest.raises(requests.exceptions.SSLError):
            client.request("POST", f"https://other.example:{receiver.port}/")

    assert len(receiver.arrived) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "http://",
        "hooks.example",
        "http://user:password@hooks.example/",
        "http://hooks.example:99999/",
        "http://hooks.example/a b",
        "http://hooks.example/\r\nX: y",
        "http://hooks.example\\@10.0.0.1/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[bad/",
    ],
)
def test_what_is_no_address_for_a_webhook_is_refused_at_once(url: str) -> None:
    """Whoever adds it learns it then, not from a failed alert."""
    with pytest.raises(Invalid):
        webhooks.check_address(url, [])


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "plain", "whsec_***", "é"])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    """A short secret signs nothing."""
    with pytest.raises(Invalid):
        webhooks.check_secret(secret)


def test_a_made_secret_is_taken() -> None:
    """What we make passes our own check, and is new each time."""
    webhooks.check_secret(webhooks.make_secret())

    assert webhooks.make_secret() != webhooks.make_secret()
