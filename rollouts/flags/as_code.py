"""Flags as code: all flags and saved groups as one YAML file, and such a file as a change.

    rollouts: flags/1
    saved_groups:
      staff:
        name: Staff
        attribute: id            # or `condition: {...}` in place of attribute and values
        values: [u1, u2]
    flags:
      new-checkout:
        kind: boolean            # boolean (if left out), string, number or json
        description: Checkout in one page
        owner: ada
        tags: [checkout]
        default: false
        environments:
          production:
            enabled: true
            rules:               # as the API takes them; a rule without an id keeps the one it has
              - type: force
                value: true
                saved_groups: [{match: any, groups: [staff]}]
              - type: rollout    # marks the place of a rollout's rule, which only
                rollout: guided-checkout    # the rollout itself may change

A file says all about the things it names: members left out have their usual value, and a flag with
`archived: true` leaves every payload. What it does not name stays as it is: other flags, other
groups, other environments of a flag; unless flags that it does not name are to be archived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.errors import Fault, Invalid
from rollouts.flags import yaml_text
from rollouts.flags.bulk import Change, change_all, in_environment
from rollouts.flags.changes import list_flags
from rollouts.flags.environments import ensure_defaults, list_environments
from rollouts.flags.groups import dump_group, list_groups
from rollouts.flags.model import (
    Condition,
    Flag,
    FlagKind,
    FlagState,
    Given,
    RolloutRule,
    Rule,
    SavedGroup,
)
from rollouts.flags.rule_json import dump_flag, dump_rules, load_rules

FORMAT: Literal["flags/1"] = "flags/1"


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GroupText(_Closed):
    """A saved group as a file says it."""

    name: str = ""
    description: str = ""
    attribute: str = "id"
    values: list[JsonValue] = Field(default_factory=list)
    condition: Condition | None = None

    def to_domain(self, key: str) -> SavedGroup:
        """The group of that key."""
        return SavedGroup(
            key,
            self.name or key,
            self.attribute,
            tuple(self.values),
            self.condition,
            self.description,
        )


class StateText(_Closed):
    """A flag in one environment as a file says it."""

    enabled: bool = True
    default: JsonValue = None
    rules: list[dict[str, Any]] = Field(default_factory=list)


class FlagText(_Closed):
    """A flag as a file says it."""

    kind: FlagKind = FlagKind.BOOLEAN
    description: str = ""
    owner: str = ""
    tags: list[str] = Field(default_factory=list)
    default: JsonValue = False
    off: JsonValue = None
    json_schema: dict[str, JsonValue] | None = Field(None, alias="schema")
    metadata: dict[str, JsonValue] | None = None
    archived: bool = False
    environments: dict[str, StateText] = Field(default_factory=dict)


class FlagsFile(_Closed):
    """A whole file."""

    rollouts: Literal["flags/1"]
    saved_groups: dict[str, GroupText] = Field(default_factory=dict)
    flags: dict[str, FlagText] = Field(default_factory=dict)


def parse(text: str) -> FlagsFile:
    """What a file says. Raises Malformed or Invalid naming the place."""
    try:
        return FlagsFile.model_validate(yaml_text.loads(text))
    except ValidationError as wrong:
        raise _invalid(wrong, "") from None


def _invalid(wrong: ValidationError, where: str) -> Invalid:
    faults = tuple(
        Fault(".".join([*([where] if where else []), *map(str, item["loc"])]), item["msg"])
        for item in wrong.errors(include_url=False, include_context=False, include_input=False)
    )[:50]
    return Invalid("Nothing was changed: the file says what cannot be.", faults=faults)


# Out


def export(session: Session) -> str:
    """Every flag and saved group as a file."""
    flags = list_flags(session, with_archived=True)
    whole: dict[str, Any] = {"rollouts": FORMAT}
    groups = {group.key: _group_text(group) for group in list_groups(session)}
    if groups:
        whole["saved_groups"] = groups
    whole["flags"] = {flag.key: _flag_text(flag) for flag in flags}
    return yaml_text.dumps(whole)


def dump_one(flag: Flag) -> str:
    """One flag as it would stand in a file."""
    return yaml_text.dumps({flag.key: _flag_text(flag)})


def _group_text(group: SavedGroup) -> dict[str, Any]:
    said = {name: member for name, member in dump_group(group).items() if name != "key"}
    return _without(said, {"description": ""})


def _flag_text(flag: Flag) -> dict[str, Any]:
    said = {name: member for name, member in dump_flag(flag).items() if name != "key"}
    places = {key: _state_text(state) for key, state in sorted(flag.states.items())}
    usual = {"description": "", "owner": "", "tags": [], "archived": False, "environments": {}}
    return _without({**said, "environments": places}, usual)


def _state_text(state: FlagState) -> dict[str, Any]:
    own = {} if state.default is None else {"default": state.default.value}
    rules = [_rule_text(rule) for rule in state.rules]
    return {"enabled": state.is_enabled, **own, **({"rules": rules} if rules else {})}


def _rule_text(rule: Rule) -> dict[str, Any]:
    if isinstance(rule, RolloutRule):
        return {"type": "rollout", "rollout": rule.rollout}
    return dump_rules([rule])[0]


def _without(said: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: member for name, member in said.items() if name not in usual or member != usual[name]
    }


# In


def apply(
    session: Session,
    file: FlagsFile,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    prune: bool = False,
) -> list[Change]:
    """Make everything that a file names be as the file says. Raises Invalid naming the place.

    prune: archive flags that the file does not name. They and their history stay, as always.
    """
    ensure_defaults(session, now)  # a file may be applied before the service ever ran
    held = {flag.key: flag for flag in list_flags(session, with_archived=True)}
    places = [row.key for row in list_environments(session)]
    flags = [_flag(key, said, held.get(key), places) for key, said in file.flags.items()]
    if prune:
        left = [flag for key, flag in held.items() if key not in file.flags]
        flags += [replace(flag, is_archived=True) for flag in left]
    groups = [said.to_domain(key) for key, said in file.saved_groups.items()]
    return change_all(
        session, flags, groups, action="flag.applied", actor=actor, now=now, reason=reason
    )


def _flag(key: str, said: FlagText, held: Flag | None, places: Iterable[str]) -> Flag:
    own = {} if held is None else held.states
    usual = {} if held is not None else {place: FlagState(is_enabled=True) for place in places}
    flag = Flag(
        key=key,
        kind=said.kind,
        default=said.default,
        off=Given(said.off) if "off" in said.model_fields_set else None,
        description=said.description,
        owner=said.owner,
        tags=tuple(said.tags),
        schema=said.json_schema,
        metadata=said.metadata,
        is_archived=said.archived,
        states={**usual, **own},
    )
    for place, state in said.environments.items():
        where = f"flags.{key}.environments.{place}"
        flag = in_environment(flag, place, _state(state, flag.state(place), where))
    return flag


def _state(said: StateText, held: FlagState, where: str) -> FlagState:
    default = Given(said.default) if "default" in said.model_fields_set else None
    rollouts = {rule.rollout: rule for rule in held.rules if isinstance(rule, RolloutRule)}
    rules: list[Rule] = []
    for at, raw in enumerate(said.rules):
        if raw.get("type") == "rollout":
            rules.append(_marked(raw, rollouts, f"{where}.rules.{at}"))
            continue
        try:
            rules.extend(load_rules([raw]))
        except ValidationError as wrong:
            raise _invalid(wrong, f"{where}.rules.{at}") from None
    return replace(
        held, is_enabled=said.enabled, default=default, rules=(*rollouts.values(), *rules)
    )


def _marked(raw: Mapping[str, Any], held: dict[str, RolloutRule], where: str) -> RolloutRule:
    """The rule of the rollout whose place is marked; those not marked come first."""
    key = raw.get("rollout")
    if not isinstance(key, str) or key not in held or set(raw) != {"type", "rollout"}:
        problem = f"this flag carries no rollout {key!r}: rollouts are started by themselves"
        raise Invalid(f"Nothing was changed: {where}: {problem}", faults=(Fault(where, problem),))
    return held.pop(key)
