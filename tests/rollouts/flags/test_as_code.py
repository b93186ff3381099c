"""Flags as code: what is exported can be applied, and then changes nothing."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from rollouts.db import Database
from rollouts.errors import Conflict, Invalid, Malformed, NotFound, RolloutsError
from rollouts.flags import as_code, groups, service, yaml_text
from rollouts.flags.bulk import Change, with_kept_ids
from rollouts.flags.model import (
    ExperimentRule,
    FlagKind,
    ForceRule,
    GateRule,
    Given,
    GroupTest,
    Namespace,
    PercentageRule,
    Prerequisite,
    Schedule,
)
from tests.rollouts.flags.makers import EDITOR, NOW, make_flag, make_group, rollout_rule
from tests.rollouts.flags.strategies import steady

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(["on", "off", "yes", "~", "null", "1e3", "010", "1:30", "2026-05-14", "0x1"])
    | st.sampled_from(["", " ", "- a", "a: b", "#x", "\n", "a\nb", "&a", "*a", "=", "<<", ".5"])
    | st.text(st.sampled_from("a \n\r\t\x85\u2028\u2029\ufeff:#'\"\\"), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@steady
@given(json_values)
def test_yaml_carries_json_unchanged(value):
    """Types and all: a text that looks like a number stays a text."""
    again = yaml_text.loads(yaml_text.dumps(value))

    assert again == value
    assert repr(again) == repr(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{on: off, no: yes, y: n}", {"on": "off", "no": "yes", "y": "n"}),
        ("{a: 2026-05-14, b: 1:30, c: 010}", {"a": "2026-05-14", "b": "1:30", "c": "010"}),
        ("[true, null, ~, 1, -2.5, 1e3, .5]", [True, None, None, 1, -2.5, 1000.0, 0.5]),
    ],
)
def test_what_people_write_is_what_is_read(text: str, value: object):
    """No surprises of older YAML."""
    assert yaml_text.loads(text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{a: 1, a: 2}", "occurs twice"),
        ("{1: a}", "must be a text"),
        ("a: [", "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("[" * 5000, "nested too deep|not valid YAML"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line(text: str, said: str):
    """And nothing in a file is ever run."""
    with pytest.raises(Malformed, match=said):
        yaml_text.loads(text)


def fill(session: Session) -> None:
    """A store in which every kind of thing occurs."""
    make_group(session, "staff", values=("u1", "007", 7))
    make_group(session, "abroad", condition={"country": {"$nin": ["NZ"]}}, description="é: 1")
    make_flag(session, "first", default=True, off=Given(True), owner="ada", tags=("on", "1"))
    make_flag(
        session,
        "second",
        ForceRule(
            value=None,
            saved_groups=(GroupTest("any", ("staff", "abroad")),),
            schedule=Schedule(NOW),
            description="line\nline",
        ),
        PercentageRule(value=1.5, share=0.25, namespaces=(Namespace("s", ((0.0, 0.5),)),)),
        ExperimentRule(variations=rollout_rule().variations, key="e", layer=("old", 0.1, 0.9)),
        GateRule(prerequisites=(Prerequisite("first", {"value": True}, is_gate=True),)),
        kind=FlagKind.JSON,
        default={"a": [1, "1"]},
        schema={"type": ["object", "null", "number", "boolean"]},
    )
    make_flag(session, "gone")
    service.archive(session, "gone", actor=EDITOR, now=NOW)
    service.put_rollout_rule(
        session,
        flag="first",
        environment="production",
        rule=rollout_rule(),
        actor=EDITOR,
        reason="",
        now=NOW,
    )


def apply(session: Session, text: str) -> list[Change]:
    """Apply a file as somebody."""
    return as_code.apply(session, as_code.parse(text), actor=EDITOR, now=NOW)


def apply_afresh(db: Database, text: str) -> None:
    """Apply a file to an empty store."""
    with db.transaction() as session:
        service.ensure_defaults(session, NOW)
        apply(session, text)


def test_applying_what_was_exported_changes_nothing(db: Database):
    """Not a revision, not a version."""
    with db.transaction() as session:
        fill(session)
        text = as_code.export(session)
        version = service.get_environment(session, "production").version

        assert apply(session, text) == []
        assert service.get_environment(session, "production").version == version
        assert as_code.export(session) == text
    assert set(yaml.safe_load(text)) == {"rollouts", "saved_groups", "flags"}


def test_a_file_makes_the_same_flags_in_an_empty_store(db: Database):
    """But for the rollouts, which are started and not copied."""
    with db.transaction() as session:
        fill(session)
        text = as_code.export(session).replace(
            "        rules:\n          - type: rollout\n            rollout: guided-returns\n", ""
        )
        was = {flag.key: flag for flag in service.list_flags(session, with_archived=True)}
        session.rollback()
    with db.transaction() as session:
        service.ensure_defaults(session, NOW)
        done = apply(session, text)
        is_now = {flag.key: flag for flag in service.list_flags(session, with_archived=True)}
        again = apply(session, text)
        told = {group.key for group in groups.list_groups(session)}

    assert [(change.key, change.is_new) for change in done] == [
        (key, True) for key in ("abroad", "staff", "first", "gone", "second")
    ]
    assert (is_now["second"], is_now["gone"]) == (was["second"], was["gone"])
    assert again == []
    assert told == {"staff", "abroad"}


FILE = """
rollouts: flags/1
flags:
  f:
    description: By hand
    environments:
      production:
        rules:
          - {type: force, value: true, condition: {country: NZ}}
          - {type: percentage, value: true, share: 0.5}
"""


def test_a_file_without_ids_can_be_applied_again_and_again(db: Database):
    """Rules keep the ids they were given, also when one before them is taken out."""
    with db.transaction() as session:
        service.ensure_defaults(session, NOW)
        apply(session, FILE)
        ids = [rule.id for rule in service.get_flag(session, "f").state("production").rules]

        assert apply(session, FILE) == []
        (change,) = apply(session, FILE.replace("0.5", "0.6"))
        assert [item.path for item in change.differences] == [
            f"environments.production.rules.{ids[1]}.share"
        ]
        apply(session, FILE.replace("- {type: force, value: true, condition: {country: NZ}}", ""))
        left = service.get_flag(session, "f").state("production").rules

    assert [rule.id for rule in left] != [ids[0]]


def test_equal_rules_keep_their_ids_wherever_they_are_moved():
    """An id is how a person finds a rule's history."""
    first, second = ForceRule(id="a", value=1), ForceRule(id="b", value=2)

    moved = with_kept_ids(
        [ForceRule(value=2), ForceRule(value=3), ForceRule(value=1)], [first, second]
    )

    assert [rule.id for rule in moved] == ["b", "", "a"]


def test_what_a_file_does_not_name_stays(db: Database):
    """Other flags, and other environments of a flag."""
    with db.transaction() as session:
        make_flag(session, "f", ForceRule(value=True))
        make_flag(session, "other")
        service.kill(session, "f", environment="staging", reason="x", actor=EDITOR, now=NOW)
        done = apply(session, FILE)
        held = service.get_flag(session, "f")

    assert [change.key for change in done] == ["f"]
    assert not held.state("staging").is_enabled
    assert len(held.state("production").rules) == 2


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{flags: {}}", "rollouts"),
        ("{rollouts: flags/2}", "rollouts"),
        ("{rollouts: flags/1, flag: {}}", "flag"),
        ("{rollouts: flags/1, flags: {f: {kind: bool}}}", "flags.f.kind"),
        ("{rollouts: flags/1, flags: {f: {default: 1}}}", "flags.f.default"),
        ("{rollouts: flags/1, flags: {'a b': {}}}", "flags.a b.key"),
        ("{rollouts: flags/1, saved_groups: {g: {values: [true]}}}", "saved_groups.g.values.0"),
        (FILE.replace("0.5", "half"), "flags.f.environments.production.rules.1.0"),
        (FILE.replace("0.5", "5"), "flags.f.environments.production.rules.1.share"),
        (FILE.replace("force, value: true", "rollout, rollout: r"), "production.rules.0"),
        (FILE.replace("country: NZ", "$savedGroup: {id: g}"), "environments.production.rules.0"),
    ],
)
def test_a_file_that_cannot_be_is_refused_by_the_place(db: Database, text: str, where: str):
    """And nothing of it is done."""
    with pytest.raises(Invalid) as refused:
        apply_afresh(db, text)

    assert any(where in fault.where for fault in refused.value.faults), refused.value.faults
    with db.reading() as session:
        assert service.list_flags(session) == []


def test_a_file_may_come_before_the_service_ever_ran(db: Database):
    """The usual environments are made then, and its flags are on in both."""
    with db.transaction() as session:
        apply(session, "{rollouts: flags/1, flags: {f: {}}}")
        states = service.get_flag(session, "f").states

    assert {key: state.is_enabled for key, state in states.items()} == {
        "production": True,
        "staging": True,
    }


def test_an_unknown_environment_is_refused(db: Database):
    """A misspelt one would silently serve nobody."""
    with pytest.raises(NotFound, match="prod'"):
        apply_afresh(db, FILE.replace("production", "prod"))


def test_flags_may_change_places_in_a_chain(db: Database):
    """What would be a circle half way is none at the end."""
    chain = "{{rollouts: flags/1, flags: {{a: {{{0}}}, b: {{{1}}}}}}}"
    waits = (
        "environments: {{production: {{rules: [{{type: force, value: true,"
        " prerequisites: [{{flag: {0}, condition: {{value: true}}}}]}}]}}}}"
    )
    none = "environments: {production: {rules: []}}"
    with db.transaction() as session:
        service.ensure_defaults(session, NOW)
        apply(session, chain.format(waits.format("b"), none))
        done = apply(session, chain.format(none, waits.format("a")))
        assert [change.key for change in done] == ["a", "b"]
        with pytest.raises(RolloutsError, match="itself"):
            apply(session, chain.format(waits.format("b"), waits.format("a")))


ARCHIVING = "rollouts: flags/1\nflags:\n  a: {archived: true}\n"


def test_a_file_archives_and_brings_back(db: Database):
    """By saying so; applied again it changes nothing, and history stays."""
    with db.transaction() as session:
        make_flag(session, "a")
        (done,) = apply(session, ARCHIVING)
        assert [(item.path, item.sides["after"]) for item in done.differences] == [
            ("archived", True)
        ]
        assert apply(session, ARCHIVING) == []
        assert "archived: true" in as_code.export(session)
        apply(session, ARCHIVING.replace("true", "false"))
        assert service.get_flag(session, "a").is_archived is False
        assert service.get_flag(session, "a").revision == 3


def test_flags_that_a_file_does_not_name_can_be_archived(db: Database):
    """Only if that is asked for; the plan names each, and the next time there is nothing to do."""
    file = as_code.parse("rollouts: flags/1\nflags:\n  kept: {}\n")
    with db.transaction() as session:
        for key in ("kept", "a", "b"):
            make_flag(session, key)

        def pruned() -> list[str]:
            done = as_code.apply(session, file, actor=EDITOR, now=NOW, prune=True)
            return [change.key for change in done]

        assert as_code.apply(session, file, actor=EDITOR, now=NOW) == []
        assert pruned() == ["a", "b"]
        assert [flag.key for flag in service.list_flags(session)] == ["kept"]
        assert pruned() == []


@pytest.mark.parametrize("prune", [False, True])
def test_a_flag_in_use_is_not_archived_by_a_file(db: Database, prune: bool):
    """Neither one that others wait for, nor one that carries a running rollout."""
    waiting = ForceRule(value=True, prerequisites=(Prerequisite("a", {"value": True}),))
    said = "rollouts: flags/1\nflags:\n" + ("  other: {}\n" if prune else "  a: {archived: true}\n")
    with db.transaction() as session:
        make_flag(session, "a")
        make_flag(session, "other")
        service.put_rollout_rule(
            session,
            flag="a" if prune else "other",
            environment="production",
            rule=rollout_rule(),
            actor=EDITOR,
            reason="",
            now=NOW,
        )
        if not prune:
            make_flag(session, "b", waiting)
        with pytest.raises(Conflict) as refused:
            as_code.apply(session, as_code.parse(said), actor=EDITOR, now=NOW, prune=prune)

    assert ("running rollout" if prune else "prerequisite of b") in str(refused.value)
