"""A flag: what it may serve, to whom, in which environment.

These dataclasses are also how rules travel as JSON: `rule_json.py` reads and writes them.
Building one never fails; `checks.py` names what is wrong with it before it is saved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, with_config

KEY_PATTERN = r"^[a-zA-Z0-9_.:|-]+$"
KEY = re.compile(KEY_PATTERN)
KEY_MAX = 200

Value = Any  # JSON of the flag's kind
Condition = dict[str, Any]  # GrowthBook's condition language
Share = Annotated[float, Field(strict=True)]
Flagged = Annotated[bool, Field(strict=True)]
Number = Annotated[int, Field(strict=True)]
Range = tuple[Share, Share]
Layer = tuple[str, Share, Share]

_closed = with_config(ConfigDict(extra="forbid"))  # a misspelt member is refused, never ignored


class FlagKind(StrEnum):
    """What a flag's values are."""

    BOOLEAN = "boolean"
    STRING = "string"
    NUMBER = "number"
    JSON = "json"


class Mode(StrEnum):
    """How a connection hands out its payload."""

    PLAIN = "plain"
    ENCRYPTED = "encrypted"
    REMOTE = "remote"


class GroupForm(StrEnum):
    """How saved groups reach the SDKs of a connection."""

    INLINE = "inline"  # members written into the conditions: every SDK understands it
    REFERENCES = "references"  # sent once beside the flags: SDKs of 2026 and later


@dataclass(frozen=True, slots=True)
class Given:
    """A value that was given, to tell a given null from none at all."""

    value: Value


@_closed
@dataclass(frozen=True, slots=True)
class Arm:
    """One variation: what it serves, and to which share of those included."""

    key: str
    name: str
    value: Value
    share: Share
    is_passthrough: Flagged = False  # counted as in the experiment, but the next rule decides


@_closed
@dataclass(frozen=True, slots=True)
class Prerequisite:
    """Another flag's value that must meet a condition; a gate that fails ends the whole flag."""

    flag: str
    condition: Condition
    is_gate: Flagged = False


@_closed
@dataclass(frozen=True, slots=True)
class GroupTest:
    """Membership in saved groups."""

    match: Literal["all", "any", "none"]
    groups: tuple[str, ...]


@_closed
@dataclass(frozen=True, slots=True)
class Schedule:
    """When a rule holds: from the first moment until just before the second."""

    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None


@_closed
@dataclass(frozen=True, slots=True)
class Namespace:
    """Part of a layer of traffic: rules with disjoint parts never meet in one unit."""

    seed: str
    ranges: tuple[Range, ...]
    unit: str = "id"
    hash_version: Number = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBase:
    """What every rule has: a name to be found by, and the limits of whom it concerns."""

    id: str = ""
    description: str = ""
    is_enabled: Flagged = True
    condition: Condition | None = None
    saved_groups: tuple[GroupTest, ...] = ()
    prerequisites: tuple[Prerequisite, ...] = ()
    schedule: Schedule | None = None
    namespaces: tuple[Namespace, ...] = ()


@_closed
@dataclass(frozen=True, slots=True, kw_only=True)
class ForceRule(RuleBase):
    """Everybody concerned gets one value."""

    type: Literal["force"] = "force"
    value: Value


@_closed
@dataclass(frozen=True, slots=True, kw_only=True)
class PercentageRule(RuleBase):
    """A stable share of the units concerned gets one value; without a seed the flag's key is it."""

    type: Literal["percentage"] = "percentage"
    value: Value
    share: Share
    unit: str = "id"
    seed: str = ""
    hash_version: Number = 2
    span: Range | None = None  # the exact buckets, in place of the share
    includes_border: Flagged = False  # as GrowthBook's coverage does in JavaScript, not in Python
    fallback_unit: str | None = (
        None  # stands in for the unit, in JavaScript only where it is sticky
    )


@_closed
@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRule(RuleBase):
    """Units are divided among variations, and their exposures are tracked."""

    type: Literal["experiment"] = "experiment"
    variations: tuple[Arm, ...]
    key: str = ""  # the tracking key; empty: the flag's key
    name: str = ""
    unit: str = "id"
    fallback_unit: str | None = None
    seed: str = ""  # empty: the tracking key
    hash_version: Number = 2
    coverage: Share = 1.0
    ranges: tuple[Range, ...] | None = None  # exact buckets, in place of coverage and shares
    layer: Layer | None = None  # id, start and end: GrowthBook's first form of a namespace
    phase: str = "0"
    bucket_version: Number = 0
    min_bucket_version: Number = 0
    is_sticky: Flagged = True
    is_keyed: Flagged = True  # without keys, which are then places, no SDK keeps variations
    is_contextual: Flagged = False  # its variations are under a name that older SDKs pass over
    bandit: str = ""  # the contextual bandit of the environment whose weights it takes


@_closed
@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRule(RuleBase):
    """The rule of a rollout: an experiment until it is decided, then one variation for all.

    The rollout's key is the tracking key and the hash seed, so nothing but the unit and the
    shares says who is in which arm.
    """

    type: Literal["rollout"] = "rollout"
    rollout: str
    unit: str
    variations: tuple[Arm, ...]
    control: str
    coverage: Share
    decided: str | None = None
    phase: str = "0"

    def arm(self, key: str) -> Arm:
        """The variation of that key; KeyError if there is none."""
        for arm in self.variations:
            if arm.key == key:
                return arm
        raise KeyError(key)


@_closed
@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule(RuleBase):
    """Serves nothing itself: unless its prerequisites hold, the whole flag serves null."""

    type: Literal["gate"] = "gate"


Rule = Annotated[
    ForceRule | PercentageRule | ExperimentRule | RolloutRule | GateRule,
    Field(discriminator="type"),
]


@dataclass(frozen=True, slots=True)
class FlagState:
    """A flag in one environment; without a default of its own the flag's default holds."""

    is_enabled: bool = False
    default: Given | None = None
    rules: tuple[Rule, ...] = ()


NEVER_SET = FlagState()


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag and its state in each environment."""

    key: str
    kind: FlagKind
    default: Value
    off: Given | None = None
    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None  # JSON Schema that every value must meet
    metadata: Mapping[str, Any] | None = None  # told to SDKs beside the flag; decides nothing
    is_archived: bool = False
    states: Mapping[str, FlagState] = field(default_factory=dict)
    revision: int = field(default=0, compare=False)
    created_at: datetime | None = field(default=None, compare=False)
    updated_at: datetime | None = field(default=None, compare=False)

    @property
    def off_value(self) -> Value:
        """What everybody gets where the flag is switched off."""
        if self.off is not None:
            return self.off.value
        return False if self.kind is FlagKind.BOOLEAN else self.default

    def state(self, environment: str) -> FlagState:
        """The flag in that environment; switched off where nobody ever set it."""
        return self.states.get(environment, NEVER_SET)

    def default_in(self, environment: str) -> Value:
        """What those get whom no rule concerns."""
        own = self.state(environment).default
        return self.default if own is None else own.value


@dataclass(frozen=True, slots=True)
class Options:
    """What the payload of a connection holds beside the flags themselves."""

    groups: GroupForm = GroupForm.INLINE
    with_rule_ids: bool = True
    with_names: bool = False  # names tell readers of a page what is being tried
    is_sticky: bool = False  # evaluation here remembers each unit's variations
    with_experiments: bool = True  # those of a visual editor, which run in pages
    with_metadata: bool = True  # what flags say of themselves, such as projects


@dataclass(frozen=True, slots=True)
class Connection:
    """A client key in use, and what it is for."""

    client_key: str
    environment_id: int
    environment_key: str
    mode: Mode
    options: Options = Options()
    encryption_key: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class SavedGroup:
    """Units or attribute values that rules refer to by name: a list, or a condition."""

    key: str
    name: str
    attribute: str = "id"
    values: tuple[Any, ...] = ()
    condition: Condition | None = None
    description: str = ""
    revision: int = field(default=0, compare=False)

    @property
    def is_list(self) -> bool:
        """Whether membership is by value rather than by condition."""
        return self.condition is None
