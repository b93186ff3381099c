"""What is done to a rollout from its report, in the whole service."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from rollouts.accounts.model import Role
from rollouts.db import Database
from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.model import State
from rollouts.runtime import Runtime
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import text_of

HERE = "/rollouts/guided-returns"
RIGHT = {"key": "guided-returns", "reason": "complaints on the phone"}


@pytest.fixture
def story_of(parts: Runtime) -> Runtime:
    """A started rollout in the whole service."""
    shop.make_catalogue(parts.db)
    shop.make_rollout(parts.db, shop.make_draft())
    return parts


def state_of(db: Database) -> State:
    """Where the rollout is."""
    with db.reading() as session:
        return lifecycle.get_rollout(session, "guided-returns").state


def test_withdrawing_by_hand_ends_it_on_a_last_look(api: FlaskClient, story_of: Runtime):
    """The form withdraws, and the report says by whom and why."""
    answer = api.post(f"{HERE}/withdraw", data=RIGHT)

    assert answer.status_code == 303
    assert state_of(story_of.db) is State.WITHDRAWN
    page = text_of(api.get(answer.location))
    assert "by hand" in page
    assert "complaints on the phone" in page
    assert 'id="act"' not in page


def test_withdrawing_wants_the_key_and_a_reason(api: FlaskClient, story_of: Runtime):
    """A slip of the hand ends nothing."""
    for wrong in ({**RIGHT, "key": ""}, {**RIGHT, "reason": " "}):
        assert api.post(f"{HERE}/withdraw", data=wrong).status_code == 422

    assert state_of(story_of.db) is State.RUNNING


def test_ramp_is_paused_and_resumed(api: FlaskClient, story_of: Runtime):
    """Both leave a sentence in the history; twice is refused."""
    api.post(f"{HERE}/pause", data={"reason": "holiday"})
    assert state_of(story_of.db) is State.PAUSED
    assert api.post(f"{HERE}/pause", data={}).status_code == 409

    api.post(f"{HERE}/resume", data={"reason": "back"})
    assert state_of(story_of.db) is State.RUNNING
    page = text_of(api.get(f"{HERE}/history"))
    assert "holiday" in page
    assert "back" in page


def test_only_those_who_may_are_offered_it(story: Database):
    """A reader sees the report without the forms, and is refused if they send one."""
    reader = shop.make_app(story, shop.with_role(Role.READER)).test_client()
    editor = shop.make_app(story, shop.with_role(Role.EDITOR)).test_client()

    assert 'id="act"' not in text_of(reader.get(f"{HERE}/report"))
    assert 'id="act"' in text_of(editor.get(f"{HERE}/report"))
    for deed in ("withdraw", "pause", "resume"):
        assert reader.post(f"{HERE}/{deed}", data=RIGHT).status_code == 403
