"""Changes to flags: rows, revision, audit entry and payload version, all or nothing."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollouts.audit import service as audit
from rollouts.audit.store import AuditEntryRow
from rollouts.db import Database
from rollouts.errors import AlreadyExists, Conflict, Invalid, NotFound, StaleEdit
from rollouts.flags import environment_store, groups, jobs, publishing, service
from rollouts.flags.environment_store import PayloadRow
from rollouts.flags.model import (
    Arm,
    Flag,
    FlagState,
    ForceRule,
    Given,
    GroupForm,
    GroupTest,
    Mode,
    Options,
    Prerequisite,
    RolloutRule,
    Schedule,
)
from tests.rollouts.flags.makers import (
    EDITOR,
    ENVIRONMENT,
    NOW,
    flag,
    make_connection,
    make_flag,
    make_group,
    rollout_rule,
    state,
)


def version(session: Session, environment: str = ENVIRONMENT) -> int:
    """The current payload version."""
    return service.get_environment(session, environment).version


def body(session: Session, environment: str = ENVIRONMENT) -> dict[str, Any]:
    """The current payload as it was published."""
    row = service.get_environment(session, environment)
    held = session.get_one(PayloadRow, (row.id, row.version))
    assert held.body is not None
    return json.loads(held.body)


def actions(session: Session) -> list[str]:
    """What the audit says was done, in order."""
    query = select(AuditEntryRow.action).order_by(AuditEntryRow.id)
    return [action for action in session.scalars(query) if not action.startswith("environment")]


def put(session: Session, rule: RolloutRule, key: str = "new-checkout") -> int:
    """Put a rollout's rule."""
    return service.put_rollout_rule(
        session, flag=key, environment=ENVIRONMENT, rule=rule, actor=EDITOR, reason="go", now=NOW
    )


def test_the_first_start_makes_production_and_staging(db: Database):
    """Once, however often a process starts; each has a payload from the beginning."""
    for _ in range(2):
        with db.transaction() as session:
            service.ensure_defaults(session, NOW)

    with db.reading() as session:
        held = service.list_environments(session)
        assert [(row.key, row.version) for row in held] == [("production", 1), ("staging", 1)]
        assert body(session) == {"features": {}, "savedGroups": {}}


def test_a_new_flag_is_in_the_next_payload_of_every_environment(db: Database):
    """Switched on, serving its default, with one revision and one audit entry."""
    with db.transaction() as session:
        made = make_flag(session)

        assert made.revision == 1
        assert made.states == {"production": FlagState(True), "staging": FlagState(True)}
        assert body(session)["features"] == {"new-checkout": {"defaultValue": False}}
        assert body(session, "staging")["features"] == body(session)["features"]
        assert actions(session) == ["flag.created"]


def test_a_taken_key_is_refused(db: Database):
    """Also that of an archived flag, whose history stays."""
    with db.transaction() as session:
        make_flag(session)
        with pytest.raises(AlreadyExists):
            make_flag(session)


def test_a_wrong_flag_leaves_no_trace(db: Database):
    """Named faults, and neither row nor revision nor version nor audit entry."""
    with db.transaction() as session:
        service.ensure_defaults(session, NOW)
    with pytest.raises(Invalid) as refusal, db.transaction() as session:
        make_flag(session, "f", ForceRule(value="yes"))

    assert [fault.where for fault in refusal.value.faults] == [
        "environments.production.rules.0.value"
    ]
    with db.reading() as session:
        assert service.find_flag(session, "f") is None
        assert (version(session), actions(session)) == (1, [])


def test_a_change_that_fails_late_leaves_no_trace(db: Database):
    """The payload version stands or falls with the transaction that caused it."""
    with db.transaction() as session:
        make_flag(session)
        before = version(session)

    def kill_and_fail() -> None:
        with db.transaction() as session:
            service.kill(
                session, "new-checkout", environment=None, reason="x", actor=EDITOR, now=NOW
            )
            assert service.get_flag(session, "new-checkout").revision == 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        kill_and_fail()
    with db.reading() as session:
        assert service.get_flag(session, "new-checkout").revision == 1
        assert version(session) == before


def test_the_audit_names_only_what_changed(db: Database):
    """From what to what, by whom and why."""
    with db.transaction() as session:
        make_flag(session)
        service.set_enabled(
            session, "new-checkout", "staging", False, reason="night", actor=EDITOR, now=NOW
        )
        last = session.scalars(select(AuditEntryRow).order_by(AuditEntryRow.id.desc())).first()

    assert last is not None
    assert (last.action, last.actor_name, last.reason) == ("flag.disabled", "Ada", "night")
    assert last.before == {"environments.staging.enabled": True}
    assert last.after == {"environments.staging.enabled": False}
    with db.reading() as session:
        assert audit.verify(session) is None


def test_rules_get_ids_that_stay(db: Database):
    """A rule keeps its id through edits and moves, so that its bucketing and history do too."""
    with db.transaction() as session:
        first = make_flag(session, "f", ForceRule(value=True), ForceRule(value=False))
        one, two = first.state(ENVIRONMENT).rules
        moved = service.set_state(session, "f", ENVIRONMENT, state(two, one), actor=EDITOR, now=NOW)

        assert one.id.startswith("fr_")
        assert one.id != two.id
        assert moved.state(ENVIRONMENT).rules == (two, one)


def test_date_updated_grows_even_if_the_clock_does_not(db: Database):
    """SDKs ignore a payload whose moment they have seen, so no two versions share one."""
    with db.transaction() as session:
        make_flag(session)
        moments = []
        for enabled in (False, True, False):
            service.set_enabled(
                session, "new-checkout", ENVIRONMENT, enabled, reason="", actor=EDITOR, now=NOW
            )
            service.edit_flag(session, "new-checkout", {"default": enabled}, actor=EDITOR, now=NOW)
            moments.append(service.get_environment(session, ENVIRONMENT).updated_at)

    assert moments == sorted(set(moments))
    assert all(moment.microsecond % 1000 == 0 for moment in moments)


def test_an_equal_payload_is_no_new_version(db: Database):
    """A description changes what people read, not what SDKs are told."""
    with db.transaction() as session:
        make_flag(session)
        before = version(session)
        edited = service.edit_flag(
            session, "new-checkout", {"description": "why"}, actor=EDITOR, now=NOW
        )

        assert edited.revision == 2
        assert version(session) == before


def test_a_change_that_changes_nothing_leaves_no_trace(db: Database):
    """Switching off what is off is no revision."""
    with db.transaction() as session:
        make_flag(session)
        again = service.set_enabled(
            session, "new-checkout", ENVIRONMENT, True, reason="", actor=EDITOR, now=NOW
        )

        assert again.revision == 1
        assert actions(session) == ["flag.created"]


def test_an_undone_change_is_not_remembered(db: Database):
    """Another one at the same moment, with the same revision, is read as it is, not as that was."""
    with db.transaction() as session:
        make_flag(session)
    for value, is_kept in ((1, False), (2, True)):
        new = state(ForceRule(value=value == 1, condition={"n": value}))
        with db.transaction() as session:
            changed = service.set_state(
                session, "new-checkout", ENVIRONMENT, new, actor=EDITOR, now=NOW
            )
            (rule,) = service.get_flag(session, "new-checkout").state(ENVIRONMENT).rules
            assert (changed.revision, rule.condition) == (2, {"n": value})
            if not is_kept:
                session.rollback()
    with db.reading() as session:
        (flag,) = service.list_flags(session)
        assert flag.state(ENVIRONMENT).rules[0].condition == {"n": 2}
        assert body(session)["features"]["new-checkout"]["rules"][0]["force"] is False


def test_one_environment_leaves_others_alone(db: Database):
    """A change in production makes no new version in staging."""
    with db.transaction() as session:
        make_flag(session)
        before = version(session, "staging")
        new = state(ForceRule(value=True))
        service.set_state(session, "new-checkout", ENVIRONMENT, new, actor=EDITOR, now=NOW)

        assert version(session, "staging") == before
        assert body(session)["features"]["new-checkout"]["rules"][0]["force"] is True


def test_an_environment_may_have_its_own_default(db: Database):
    """It is stored apart from the flag's, a null one too."""
    with db.transaction() as session:
        make_flag(session)
        new = FlagState(True, Given(True))
        service.set_state(session, "new-checkout", "staging", new, actor=EDITOR, now=NOW)

        assert body(session, "staging")["features"]["new-checkout"] == {"defaultValue": True}
        assert body(session)["features"]["new-checkout"] == {"defaultValue": False}


def test_a_new_environment_starts_with_every_flag_off(db: Database):
    """Nothing reaches customers of a new place unasked."""
    with db.transaction() as session:
        make_flag(session, "f", default=True)
        service.create_environment(session, key="eu", name="", actor=EDITOR, now=NOW)

        assert body(session, "eu")["features"] == {"f": {"defaultValue": False}}
        with pytest.raises(AlreadyExists):
            service.create_environment(session, key="eu", name="", actor=EDITOR, now=NOW)


def test_unknown_names_are_named(db: Database):
    """A flag or environment that does not exist is told as such."""
    with db.transaction() as session:
        make_flag(session)
        with pytest.raises(NotFound, match="'nowhere'"):
            service.set_enabled(
                session, "new-checkout", "nowhere", True, reason="", actor=EDITOR, now=NOW
            )
        with pytest.raises(NotFound, match="'nothing'"):
            service.get_flag(session, "nothing")
        with pytest.raises(NotFound, match="'nowhere'"):
            service.create_flag(
                session, replace(flag("f"), states={"nowhere": FlagState()}), actor=EDITOR, now=NOW
            )


def test_a_stale_edit_is_refused_with_both_versions(db: Database):
    """Whoever edits what somebody else has changed is told what and by whom."""
    with db.transaction() as session:
        make_flag(session)
        service.edit_flag(session, "new-checkout", {"owner": "bob"}, actor=EDITOR, now=NOW)
        with pytest.raises(StaleEdit) as refusal:
            service.set_state(
                session,
                "new-checkout",
                ENVIRONMENT,
                state(ForceRule(value=True)),
                actor=EDITOR,
                now=NOW,
                expected_revision=1,
            )

    assert "changed by Ada" in refusal.value.detail
    (fault,) = refusal.value.faults
    assert (fault.where, fault.problem) == ("owner", "you read '', now it is 'bob'")


def test_every_revision_can_be_brought_back(db: Database):
    """A revert is a new revision that equals the old one."""
    with db.transaction() as session:
        first = make_flag(session, "f", ForceRule(value=True, condition={"beta": True}))
        service.edit_flag(session, "f", {"default": True, "tags": ("a",)}, actor=EDITOR, now=NOW)
        service.kill(session, "f", environment=None, reason="bad", actor=EDITOR, now=NOW)
        back = service.revert(session, "f", 1, actor=EDITOR, now=NOW)

        assert back == first
        assert back.revision == 4
        history = service.list_flag_revisions(session, "f")
        assert [(row.number, row.action) for row in history] == [
            (4, "flag.reverted"),
            (3, "flag.killed"),
            (2, "flag.edited"),
            (1, "flag.created"),
        ]
        with pytest.raises(NotFound):
            service.revert(session, "f", 9, actor=EDITOR, now=NOW)


def test_an_archived_flag_is_told_no_more_and_can_be_restored(db: Database):
    """Its rules and history stay as they are."""
    with db.transaction() as session:
        made = make_flag(session, "f", ForceRule(value=True))
        service.archive(session, "f", actor=EDITOR, now=NOW)

        assert body(session)["features"] == {}
        assert service.list_flags(session) == []
        assert [item.key for item in service.list_flags(session, with_archived=True)] == ["f"]
        assert service.restore(session, "f", actor=EDITOR, now=NOW) == made
        assert body(session)["features"]["f"]["rules"][0]["force"] is True


def test_a_prerequisite_cannot_be_archived(db: Database):
    """The flags above it would silently stop matching."""
    with db.transaction() as session:
        make_flag(session, "parent")
        needs = Prerequisite("parent", {"value": True})
        make_flag(session, "child", ForceRule(value=True, prerequisites=(needs,)))
        with pytest.raises(Conflict, match="prerequisite of child"):
            service.archive(session, "parent", actor=EDITOR, now=NOW)


def test_a_cycle_is_refused_on_save(db: Database):
    """The flag that would close the circle is not saved."""
    with db.transaction() as session:
        make_flag(session, "a")
        on_a = ForceRule(value=True, prerequisites=(Prerequisite("a", {"value": True}),))
        make_flag(session, "b", on_a)
        on_b = ForceRule(value=True, prerequisites=(Prerequisite("b", {"value": True}),))
        with pytest.raises(Invalid, match="a -> b -> a"):
            service.set_state(session, "a", ENVIRONMENT, state(on_b), actor=EDITOR, now=NOW)


def test_a_rollouts_rule_comes_first_and_is_replaced_in_place(db: Database):
    """Put, grown, decided, removed: each is a payload version, and rules around it stay."""
    with db.transaction() as session:
        make_flag(session, "new-checkout", ForceRule(id="fr_1", value=True))
        start = version(session)

        assert put(session, rollout_rule()) == start + 1
        assert put(session, rollout_rule(coverage=0.5)) == start + 2
        (first, second) = body(session)["features"]["new-checkout"]["rules"]
        assert (first["key"], first["coverage"]) == ("guided-returns", 0.5)
        assert second["force"] is True
        assert put(session, rollout_rule(coverage=0.5)) == start + 2  # the same again
        assert put(session, rollout_rule(decided="control")) == start + 3
        assert body(session)["features"]["new-checkout"]["rules"][0]["force"] is False
        gone = service.remove_rollout_rule(
            session,
            flag="new-checkout",
            environment=ENVIRONMENT,
            rollout="guided-returns",
            actor=EDITOR,
            reason="",
            now=NOW,
        )
        assert gone == start + 4
        assert len(body(session)["features"]["new-checkout"]["rules"]) == 1


def test_only_the_rollout_changes_its_rule(db: Database):
    """An editor may move it among the others, not touch, drop or forge it."""
    with db.transaction() as session:
        make_flag(session, "f", ForceRule(id="fr_1", value=True))
        put(session, rollout_rule(), "f")
        theirs, ours = service.get_flag(session, "f").state(ENVIRONMENT).rules
        assert isinstance(theirs, RolloutRule)

        def save(*rules: Any) -> Flag:
            return service.set_state(
                session, "f", ENVIRONMENT, state(*rules), actor=EDITOR, now=NOW
            )

        assert save(ours, theirs).state(ENVIRONMENT).rules == (ours, theirs)
        for rules in ((ours,), (replace(theirs, coverage=1.0), ours), (theirs, theirs, ours)):
            with pytest.raises(Conflict, match="guided-returns"):
                save(*rules)
        with pytest.raises(Conflict, match="guided-returns"):
            make_flag(session, "g", rollout_rule())


def test_a_revert_leaves_a_running_rollout_alone(db: Database):
    """Going back in a flag's history neither ends nor restarts what runs on it."""
    with db.transaction() as session:
        make_flag(session, "f", ForceRule(id="fr_1", value=True))
        put(session, rollout_rule(), "f")
        put(session, rollout_rule(coverage=0.5), "f")
        back = service.revert(session, "f", 2, actor=EDITOR, now=NOW)

        (running, other) = back.state(ENVIRONMENT).rules
        assert isinstance(running, RolloutRule)
        assert running.coverage == 0.5
        assert other.id == "fr_1"
        with pytest.raises(Conflict, match="running rollout guided-returns"):
            service.archive(session, "f", actor=EDITOR, now=NOW)


def test_a_rollout_is_checked_against_its_flag(db: Database):
    """Before it starts, what would be refused then is named now."""
    with db.transaction() as session:
        make_flag(session)
        wrong = (Arm("control", "", "no", 0.5), Arm("guided", "", True, 0.4))
        with pytest.raises(Invalid) as refusal:
            service.check_rollout(
                session,
                flag="new-checkout",
                environment=ENVIRONMENT,
                variations=wrong,
                condition={"$nope": 1},
            )
        service.check_rollout(
            session,
            flag="new-checkout",
            environment=ENVIRONMENT,
            variations=rollout_rule().variations,
            condition=None,
        )

    assert [fault.where for fault in refusal.value.faults] == [
        "variations.0.value",
        "variations",
        "condition.$nope",
    ]


def test_a_schedule_is_published_when_it_is_due(db: Database):
    """Nobody edits anything: the moment comes, and a new version with it, once."""
    starts, ends = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    with db.transaction() as session:
        make_flag(session, "sale", ForceRule(value=True, schedule=Schedule(starts, ends)))
        before = version(session)

        def due(now: datetime) -> tuple[bool, int, bool]:
            done = service.publish_due(session, now)
            return done, version(session) - before, "rules" in body(session)["features"]["sale"]

        assert due(NOW + timedelta(minutes=59)) == (False, 0, False)
        assert due(starts) == (True, 1, True)
        assert due(starts + timedelta(minutes=1)) == (False, 1, True)
        assert due(ends) == (True, 2, False)
        assert service.get_environment(session, ENVIRONMENT).next_change_at is None


def test_the_worker_publishes_what_is_due(db: Database):
    """Without writing while nothing is."""
    starts = NOW + timedelta(hours=1)
    with db.transaction() as session:
        make_flag(session, "sale", ForceRule(value=True, schedule=Schedule(starts)))

    assert not jobs.publish_due(db, now=NOW)
    assert jobs.publish_due(db, now=starts)
    assert not jobs.publish_due(db, now=starts)
    with db.reading() as session:
        assert "rules" in body(session)["features"]["sale"]


def test_changes_at_once_are_all_in_the_payload(db: Database):
    """Eight writers of eight flags: no payload is built without another's change."""
    keys = [f"flag-{number}" for number in range(8)]
    with db.transaction() as session:
        for key in keys:
            make_flag(session, key)
        before = version(session)

    def switch_on(key: str) -> None:
        with db.transaction() as session:
            service.edit_flag(session, key, {"default": True}, actor=EDITOR, now=NOW)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(switch_on, keys))

    with db.reading() as session:
        assert {item["defaultValue"] for item in body(session)["features"].values()} == {True}
        assert version(session) == before + 8
        assert audit.verify(session) is None


def test_old_bodies_are_dropped(db: Database):
    """Versions keep their number and moment; only the newest keep their text."""
    with db.transaction() as session:
        make_flag(session)
        for number in range(publishing.KEEP_BODIES + 5):
            service.edit_flag(
                session, "new-checkout", {"default": number % 2 == 0}, actor=EDITOR, now=NOW
            )
        environment = service.get_environment(session, ENVIRONMENT)
        mine = PayloadRow.environment_id == environment.id
        n_all = session.scalar(select(func.count()).select_from(PayloadRow).where(mine))
        with_text = select(func.count()).where(mine, PayloadRow.body.is_not(None))

        assert n_all == environment.version
        assert session.scalar(with_text) == publishing.KEEP_BODIES + 1


def test_a_saved_group_changes_every_flag_that_uses_it(db: Database):
    """A new member is a new payload version; a group in use cannot be deleted."""
    with db.transaction() as session:
        group = make_group(session, "beta", values=("u1",))
        make_flag(session, "f", ForceRule(value=True, saved_groups=(GroupTest("any", ("beta",)),)))
        before = version(session)
        more = replace(group, values=("u1", "u2"))
        groups.edit_group(session, more, expected_revision=1, actor=EDITOR, now=NOW)

        assert version(session) == before + 1
        assert body(session)["savedGroups"]["beta"]["values"] == ["u1", "u2"]
        with pytest.raises(Conflict, match="flag f"):
            groups.delete_group(session, "beta", expected_revision=2, actor=EDITOR, now=NOW)
        with pytest.raises(StaleEdit):
            groups.edit_group(session, more, expected_revision=1, actor=EDITOR, now=NOW)


def test_an_unused_saved_group_can_be_deleted(db: Database):
    """And is gone from lists and payload."""
    with db.transaction() as session:
        make_group(session, "beta", values=("u1",))
        with pytest.raises(AlreadyExists):
            make_group(session, "beta")
        groups.delete_group(session, "beta", expected_revision=1, actor=EDITOR, now=NOW)

        assert groups.list_groups(session) == []
        assert body(session)["savedGroups"] == {}


def test_saved_groups_are_checked(db: Database):
    """A group that refers to itself or to nothing is not saved."""
    with db.transaction() as session:
        with pytest.raises(Invalid, match="no saved group 'nothing'"):
            make_group(session, "g", condition={"$savedGroup": {"id": "nothing"}})
        with pytest.raises(Invalid, match="g -> g"):
            make_group(session, "g", condition={"$savedGroup": {"id": "g"}})


def test_connections_have_keys_of_their_kind(db: Database):
    """A public client key for each; an encryption key of 16 bytes for the encrypted."""
    with db.transaction() as session:
        plain, sealed = make_connection(session), make_connection(session, Mode.ENCRYPTED)

        assert plain.client_key.startswith("sdk-")
        assert plain.client_key != sealed.client_key
        assert plain.encryption_key is None
        assert sealed.encryption_key is not None
        assert len(sealed.encryption_key) == 24
        with pytest.raises(NotFound):
            make_connection(session, environment="nowhere")


def test_a_revoked_connection_is_gone(db: Database):
    """It is neither listed nor found, and told to delivery by a new serial."""
    with db.transaction() as session:
        row = make_connection(session)
        before = environment_store.get_serial(session)
        service.revoke_connection(session, row.client_key, actor=EDITOR, now=NOW)

        assert environment_store.get_serial(session) == before + 1
        assert service.list_connections(session, after=None, limit=10) == []
        with pytest.raises(NotFound):
            service.get_connection(session, row.client_key)


def test_other_options_are_a_new_version(db: Database):
    """The payload of the connection changes, so its moment must, although no flag did."""
    with db.transaction() as session:
        row = make_connection(session)
        before = version(session)
        for _ in range(2):
            service.edit_connection(
                session,
                row.client_key,
                name=None,
                options=Options(GroupForm.REFERENCES),
                actor=EDITOR,
                now=NOW,
            )

        assert version(session) == before + 1


def test_flags_are_found_by_text_and_page(db: Database):
    """Lists are by key, searched without regard to case, and wildcards are plain characters."""
    with db.transaction() as session:
        for key in ("alpha", "beta", "gamma_1"):
            make_flag(session, key, description=f"About {key.upper()}")

        def keys(**query: Any) -> list[str]:
            return [item.key for item in service.list_flags(session, **query)]

        assert keys(limit=2) == ["alpha", "beta"]
        assert keys(after="beta") == ["gamma_1"]
        assert keys(search="ABOUT b") == ["beta"]
        assert keys(search="%") == []
        assert keys(search="_") == ["gamma_1"]
