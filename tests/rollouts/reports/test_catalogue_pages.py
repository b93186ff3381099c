"""Pages of flags, metrics and the audit."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from sqlalchemy import Connection, update

from rollouts.accounts.model import Role
from rollouts.audit.store import AuditEntryRow
from rollouts.db import Database
from rollouts.flags import service as flags
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import text_of

FLAG = "/flags/guided-returns"
RIGHT = {"environment": "production", "reason": "wrong prices", "key": "guided-returns"}


def test_flags_say_what_is_served_in_words(client: FlaskClient):
    """The list names every environment's answer; the flag's page names its rules."""
    listed, page = text_of(client.get("/flags")), text_of(client.get(FLAG))

    assert "false for 2.5 %, true for 2.5 %, by customer_id" in listed
    assert "false for everyone" in listed
    assert "set by the rollout’s" in page
    assert 'href="/rollouts/guided-returns/plan"' in page


def test_kill_switch_turns_off_and_tells_clients(story: Database):
    """One form: reason and key; then everyone gets the off value and it is in the history."""
    app = shop.make_app(story)
    answer = app.test_client().post(f"{FLAG}/off", data=RIGHT)

    assert answer.status_code == 303
    assert app.extensions["rollouts"].delivery.rung == 1
    with story.reading() as session:
        flag = flags.get_flag(session, "guided-returns")
    assert not flag.state("production").is_enabled
    assert flag.state("staging").is_enabled
    page = text_of(app.test_client().get(FLAG))
    assert "Killed: <bdi>wrong prices</bdi>" in page
    assert "Turn on in Production" in page


def test_flag_can_be_turned_on_again(story: Database):
    """What was switched off is served again by the same kind of form."""
    client = shop.make_app(story).test_client()
    client.post(f"{FLAG}/off", data=RIGHT)
    client.post(f"{FLAG}/on", data=RIGHT)

    with story.reading() as session:
        assert flags.get_flag(session, "guided-returns").state("production").is_enabled


def test_kill_switch_wants_a_reason_and_the_key(story: Database):
    """A slip of the hand changes nothing."""
    client = shop.make_app(story).test_client()

    for missing in ({**RIGHT, "reason": " "}, {**RIGHT, "key": "guided"}, {"reason": "x"}):
        assert client.post(f"{FLAG}/off", data=missing).status_code == 422
    assert client.post(f"{FLAG}/off", data={**RIGHT, "environment": "mars"}).status_code == 404
    with story.reading() as session:
        assert flags.get_flag(session, "guided-returns").state("production").is_enabled


def test_reader_sees_no_switch_and_cannot_use_it(story: Database):
    """The form is only offered to those who may send it, and refused from others."""
    client = shop.make_app(story, shop.with_role(Role.READER)).test_client()

    assert "Turn off" not in text_of(client.get(FLAG))
    assert client.post(f"{FLAG}/off", data=RIGHT).status_code == 403


def test_forms_carry_a_token(client: FlaskClient):
    """Every form that changes something has the token that proves it is ours."""
    page = text_of(client.get(FLAG))

    forms = re.findall(r"<form[^>]*method=\"post\".*?</form>", page, re.S)
    assert forms
    assert all('name="csrf_token" value="token"' in form for form in forms)


def test_metrics_are_told_in_a_sentence(client: FlaskClient):
    """The catalogue says what is counted, and which way is harm."""
    listed, page = text_of(client.get("/catalogue")), text_of(client.get("/catalogue/contacts"))

    sentence = "Number of &#34;contacts&#34; events per customer within 7 days of first exposure."
    assert sentence in listed
    assert sentence in page
    assert "Harm is a rise" in page
    assert client.get("/catalogue/none").status_code == 404


def test_audit_lists_entries_and_proves_the_chain(client: FlaskClient, story: Database):
    """Who did what stands there, and that nothing was taken out."""
    page = text_of(client.get("/audit"))

    assert "Chain whole" in page
    assert "rollout.started" in page
    assert "rollout.started" in text_of(client.get("/audit?search=rollout.started"))
    assert "Nothing found" in text_of(client.get("/audit?search=nothing-like-it"))
    assert story is not None


def test_audit_says_where_the_chain_is_broken(story: Database):
    """A row changed behind the service's back is named."""
    with story.engine.begin() as connection:
        for statement in _without_triggers(story, connection):
            connection.exec_driver_sql(statement)
        connection.execute(
            update(AuditEntryRow).where(AuditEntryRow.id == 3).values(actor_name="Eve")
        )

    page = text_of(shop.make_app(story).test_client().get("/audit"))

    assert "Entry 3 was changed" in page


def _without_triggers(db: Database, connection: Connection) -> list[str]:
    """What a database's owner could do against the service's own guards."""
    if not db.is_sqlite:
        return ["ALTER TABLE audit_entries DISABLE TRIGGER USER"]
    names = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type='trigger' AND tbl_name='audit_entries'"
    )
    return [f"DROP TRIGGER {row[0]}" for row in names]


def test_nothing_there_yet_says_what_the_place_is_for(db: Database):
    """Empty lists explain themselves."""
    client = shop.make_app(db).test_client()

    assert "No flag yet" in text_of(client.get("/flags"))
    assert "No metric yet" in text_of(client.get("/catalogue"))


def test_errors_have_a_page(client: FlaskClient):
    """What failed, what to do, and a number to quote."""
    answer = client.get("/flags/none", headers={"Accept": "text/html"})
    page = text_of(answer)

    assert answer.status_code == 404
    assert "There is no flag &#39;none&#39;." in page
    assert "give this number" in page
