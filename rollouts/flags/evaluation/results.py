"""Who asks, and what an evaluation answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypedDict

from rollouts.flags.evaluation.values import truthy


class StickyDocument(TypedDict):
    """The variations a unit keeps, by experiment key and bucket version."""

    attributeName: str
    attributeValue: str
    assignments: dict[str, str]


@dataclass(frozen=True, slots=True)
class User:
    """One user as a request describes them."""

    attributes: dict[str, object]
    forced_variations: Mapping[str, object] = field(default_factory=dict)  # experiment -> index
    forced_features: Mapping[str, object] = field(default_factory=dict)  # flag -> value
    url: str = ""
    sticky: Mapping[str, StickyDocument] | None = None  # None turns sticky bucketing off
    enabled: bool = True  # False leaves everybody out of every experiment
    qa_mode: bool = False  # True lets in only those who are forced


class Source(StrEnum):
    """What decided a flag's value."""

    UNKNOWN_FEATURE = "unknownFeature"
    DEFAULT_VALUE = "defaultValue"
    FORCE = "force"
    EXPERIMENT = "experiment"
    OVERRIDE = "override"
    PREREQUISITE = "prerequisite"
    CYCLIC_PREREQUISITE = "cyclicPrerequisite"


class Arm(NamedTuple):
    """A variation as an experiment rule names it."""

    position: int
    key: str
    value: object
    name: str = ""
    passthrough: bool = False  # the next rules decide the value, as for holdouts


class Leaf(NamedTuple):
    """The part of a contextual bandit that gave the weights."""

    leaf_id: int
    weights: list[float]
    version: int | None


class ExperimentResult(NamedTuple):
    """Which variation a unit has in an experiment, and how it came by it."""

    arm: Arm
    feature: str | None
    hash_attribute: str
    hash_value: object  # as the user sent it
    hash_used: bool  # False for forced variations, which are no exposures
    bucket: float | None = None
    sticky_used: bool = False
    in_experiment: bool = True
    leaf: Leaf | None = None

    @property
    def key(self) -> str:
        """The variation's key."""
        return self.arm.key

    @property
    def variation(self) -> int:
        """The variation's index."""
        return self.arm.position

    @property
    def value(self) -> object:
        """The variation's value."""
        return self.arm.value

    def to_json(self) -> dict[str, object]:
        """The result as the SDKs spell it."""
        arm = self.arm
        out: dict[str, object] = {
            "key": arm.key,
            "featureId": self.feature,
            "inExperiment": self.in_experiment,
            "hashUsed": self.hash_used,
            "variationId": arm.position,
            "value": arm.value,
            "hashAttribute": self.hash_attribute,
            "hashValue": self.hash_value,
            "stickyBucketUsed": self.sticky_used,
        }
        if arm.name:
            out["name"] = arm.name
        if self.bucket is not None:
            out["bucket"] = self.bucket
        if arm.passthrough:
            out["passthrough"] = True
        if self.leaf:
            out |= _leaf_json(self.leaf)
        return out


def _leaf_json(leaf: Leaf) -> dict[str, object]:
    version = {} if leaf.version is None else {"banditVersion": leaf.version}
    return {"leafId": leaf.leaf_id, "variationWeights": leaf.weights, **version}


class Exposure(NamedTuple):
    """An experiment a unit was let into by hash: what a tracking callback would report."""

    experiment: dict[str, object]  # the definition; read only
    result: ExperimentResult


class Result(NamedTuple):
    """What one flag is worth to one user. Values are shared between users: read only."""

    value: object
    source: Source
    rule_id: str = ""
    experiment: dict[str, object] | None = None
    experiment_result: ExperimentResult | None = None

    @property
    def on(self) -> bool:
        """Whether the value is true to JavaScript."""
        return truthy(self.value)

    @property
    def off(self) -> bool:
        """The opposite."""
        return not truthy(self.value)

    def to_json(self) -> dict[str, object]:
        """The result as the SDKs spell it."""
        out: dict[str, object] = {
            "value": self.value,
            "on": self.on,
            "off": self.off,
            "source": self.source.value,
            "ruleId": self.rule_id,
        }
        if self.experiment is not None:
            out["experiment"] = self.experiment
        if self.experiment_result is not None:
            out["experimentResult"] = self.experiment_result.to_json()
        return out


UNKNOWN = Result(None, Source.UNKNOWN_FEATURE)
GATED = Result(None, Source.PREREQUISITE)
CYCLIC = Result(None, Source.CYCLIC_PREREQUISITE)
