"""Apprise under our rules: which services, which parameters, and the way out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rollouts.clock import utcnow
from rollouts.errors import Invalid
from rollouts.notify import chat
from rollouts.notify.model import Message, Outcome

from .receiver import receiving
from .test_outbound import LOOPBACK, Resolve, resolve  # noqa: F401  # a fixture
from .tls import make_tls

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"
TAKEN = [
    SLACK,
    "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?footer=yes",
    "mailtos://user:pass@gmail.com?to=ana@example.com",
    "ntfys://ntfy.example.com/topic?priority=high",
    "zulip://bot@org/a6k4m8s0d2f4h6j8l0q2w4e6r8t0y2u4",
    "workflows://prod-11.westus.logic.azure.com:443/643e2cd2c3f0454dbf/sigsig",
    "tgram://123456789:alphanumeric_abcdefghijklmnopqrstuvwxyz/12315544",
    "pagerduty://A1BRTD4JD@TIiajkdnlazkcOXrIdevi7F?region=eu",
    "opsgenie://a1b2c3d4-e5f6-7890-a1b2-c3d4e5f67890",
    "gchat://workspace/key/token",
    "webex://" + "a" * 80,
]
REFUSED = [
    "json://hooks.example/",
    "jsons://hooks.example/",
    "form://hooks.example/",
    "apprise://hooks.example/token",
    "syslog://",
    "dbus://",
    "file:///etc/passwd",
    "mailto://user:pass@gmail.com",
    "ntfy://ntfy.example.com/topic",
    "https://hooks.slack.com/services/T1/B1/x",
    "slack://",
    "slack://nonsense",
    "nothing",
    f"{SLACK}?template=/etc/passwd",
    f"{SLACK}&template=/etc/passwd",
    f"{SLACK}?TEMPLATE=/etc/passwd",
    f"{SLACK}?%74emplate=/etc/passwd",
    f"{SLACK}?image=no;template=/etc/passwd",
    f"{SLACK}?:name=value",
    f"{SLACK}?verify=no",
    f"{SLACK}?redirect=yes",
    f"{SLACK}?cto=600",
    f"{SLACK} slack://other",
    f"{SLACK}\nslack://other",
    "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?avatar_url=http://10.0.0.1/",
    "ntfys://ntfy.example.com/topic?attach=http://10.0.0.1/",
    "mailtos://user:pass@gmail.com?to=a@example.com&pgppub=/etc/passwd",
    "mailtos://user:pass@gmail.com?to=a@example.com&pgp=yes",
    "mailtos://user:pass@gmail.com?to=a@example.com&+Bcc=b@example.com",
    "mailtos://user:pass@example.com?to=a@example.com&smtp=smtp.example.com&mode=insecure",
    "mailtos://user:pass@example.com?to=a@example.com&smtp=127.0.0.1",
]
MESSAGE = Message(
    id="msg_1",
    kind="rollout.withdrawn",
    subject="Withdrawn: Guided returns",
    happened="Contacts rose 31 %.",
    done="All customers are back on the old page.",
    created_at=utcnow(),
    links={"report": "https://rollouts.example/r"},
)


@pytest.mark.parametrize("url", TAKEN)
def test_listed_services_are_taken(url: str) -> None:
    """Each of the listed services in an ordinary form; none of its tokens is shown."""
    chat.check_address(url, [])

    assert chat.shown_address(url) == url.partition("://")[0] + "://…"


@pytest.mark.parametrize("url", REFUSED)
def test_everything_else_is_refused(url: str) -> None:
    """Other schemes, plain connections, and parameters that open files or doors."""
    with pytest.raises(Invalid):
        chat.check_address(url, [])


def test_a_message_goes_out_under_our_rules(
    tmp_path: Path,
    resolve: Resolve,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Apprise builds Slack's message; our client carries it, or refuses where it leads."""
    context, authority = make_tls(tmp_path, "hooks.slack.com")
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(authority))
    with receiving(context) as receiver:
        receiver.answers, receiver.body = [200], b"ok"
        resolve({"hooks.slack.com": ["127.0.0.1"]})
        monkeypatch.setattr(
            "apprise.plugins.slack.NotifySlack.webhook_url",
            f"https://hooks.slack.com:{receiver.port}/services",
        )

        refused = chat.send(SLACK, MESSAGE, [])
        assert refused.outcome is Outcome.REFUSED
        assert receiver.arrived == []

        assert chat.send(SLACK, MESSAGE, LOOPBACK).outcome is Outcome.DELIVERED
        told = json.loads(receiver.arrived[0].body)
        assert "Contacts rose 31 %." in json.dumps(told, ensure_ascii=False)

        receiver.answers, receiver.body = [403], b"invalid_token"
        failed = chat.send(SLACK, MESSAGE, LOOPBACK)
        assert failed.outcome is Outcome.FAILED
        assert "invalid_token" not in failed.problem


def test_mail_is_refused_where_the_server_is_private(
    resolve: Resolve,  # noqa: F811
) -> None:
    """Mail has its own connection; its server's address is checked just before."""
    resolve({"smtp.example.com": ["127.0.0.1"]})
    url = "mailtos://user:pass@example.com?to=a@example.com&smtp=smtp.example.com"

    assert chat.send(url, MESSAGE, []).outcome is Outcome.REFUSED


def test_nothing_of_an_address_is_logged(
    resolve: Resolve,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Apprise's own log would repeat tokens."""
    caplog.set_level("DEBUG")
    resolve({"hooks.slack.com": ["10.0.0.1"]})

    chat.send(SLACK, MESSAGE, [])

    assert "TIiajkdnlazkcOXrIdevi7FQ" not in caplog.text
