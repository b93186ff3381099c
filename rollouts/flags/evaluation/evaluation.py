"""One user's pass through a program: what is asked of it, and what it has met so far."""

from collections.abc import Callable, Mapping
from enum import Enum

from rollouts.flags.evaluation.results import (
    CYCLIC,
    UNKNOWN,
    Exposure,
    Result,
    Source,
    StickyDocument,
    User,
)
from rollouts.flags.evaluation.urls import url_overrides

Feature = Callable[["Evaluation"], Result]


class Met(Enum):
    """Whether the prerequisites of a rule hold."""

    YES = "yes"
    NO = "no"  # the rule is skipped
    GATED = "gated"  # the whole flag is off
    CYCLE = "cycle"


class Evaluation:
    """The state of one evaluation. Not shared between users or threads."""

    __slots__ = (
        "attributes",
        "buckets",
        "changed",
        "exposures",
        "features",
        "known",
        "overrides",
        "steered",
        "sticky",
        "user",
    )

    def __init__(self, features: Mapping[str, Feature], user: User) -> None:
        self.features = features
        self.user = user
        self.attributes = user.attributes
        self.buckets: dict[str, list[float]] = {}  # by attribute, where taken in one go
        self.overrides = url_overrides(user.url) if "?" in user.url else {}
        self.steered = bool(self.overrides or user.forced_variations or not user.enabled)
        self.sticky = None if user.sticky is None else dict(user.sticky)
        self.changed: dict[str, StickyDocument] = {}  # sticky documents to save
        self.exposures: list[Exposure] = []
        self.known: dict[str, tuple[Result, list[Exposure]]] = {}

    def result(self, key: str) -> Result:
        """What a flag is worth to this user."""
        forced = self.user.forced_features
        if forced and key in forced:
            return Result(forced[key], Source.OVERRIDE)
        feature = self.features.get(key)
        return UNKNOWN if feature is None else feature(self)

    def once(self, key: str, feature: Feature) -> Result:
        """A flag that others wait for is evaluated once; asked for again meanwhile, it is a cycle.

        Which flags a flag asks for depends on the user alone, so a result is the same whoever
        asks first, and a cycle is one from wherever it is entered.
        """
        found = self.known.get(key)
        if found is None:
            outer, self.exposures = self.exposures, []
            self.known[key] = (CYCLIC, [])
            found = self.known[key] = (feature(self), self.exposures)
            self.exposures = outer
        self.exposures.extend(found[1])
        return found[0]
