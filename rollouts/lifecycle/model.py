"""The rollout: its variations, its ramp of stages, its states and what may follow what."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import isclose, isfinite
from typing import Any

from rollouts.errors import Fault, Invalid, WrongState


class InvalidRamp(Invalid):
    """A ramp that cannot be climbed."""

    code = "invalid_ramp"


class State(StrEnum):
    """Where a rollout is in its life."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    SHIPPED = "shipped"
    STOPPED = "stopped"

    @property
    def is_live(self) -> bool:
        """Whether customers meet the change and the guard watches."""
        return self in (State.RUNNING, State.PAUSED)

    @property
    def is_ended(self) -> bool:
        """Whether it is over for good."""
        return self in (State.WITHDRAWN, State.SHIPPED, State.STOPPED)


class Deed(StrEnum):
    """What can be done to a rollout."""

    START = "start"
    ADVANCE = "advance"
    PAUSE = "pause"
    RESUME = "resume"
    WITHDRAW = "withdraw"
    SHIP = "ship"
    STOP = "stop"


NEXT: dict[Deed, dict[State, State]] = {
    Deed.START: {State.DRAFT: State.RUNNING},
    Deed.ADVANCE: {State.RUNNING: State.RUNNING},
    Deed.PAUSE: {State.RUNNING: State.PAUSED},
    Deed.RESUME: {State.PAUSED: State.RUNNING},
    Deed.WITHDRAW: {State.RUNNING: State.WITHDRAWN, State.PAUSED: State.WITHDRAWN},
    Deed.SHIP: {State.RUNNING: State.SHIPPED, State.PAUSED: State.SHIPPED},
    Deed.STOP: {State.RUNNING: State.STOPPED, State.PAUSED: State.STOPPED},
}


def follow(key: str, state: State, deed: Deed) -> State:
    """The state after a deed. Raises WrongState where the lifecycle has no such step."""
    allowed = NEXT[deed]
    if state not in allowed:
        starts = " or ".join(sorted(allowed))
        raise WrongState(
            f"Rollout {key!r} is {state}; to {deed} it, it must be {starts}."
            + (" An ended rollout stays ended: make a new one." if state.is_ended else "")
        )
    return allowed[state]


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a ramp: a share of traffic, held at least this long."""

    share: float  # of eligible units, above 0 and at most 1
    hold: timedelta

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InvalidRamp(
                f"A stage's share must be above 0 and at most 1, not {self.share}.",
                faults=(Fault("ramp.share", f"{self.share} is not in (0, 1]"),),
            )
        if self.hold < timedelta(0):
            raise InvalidRamp("A stage cannot be held for less than no time.")

    def is_due(self, entered_at: datetime, now: datetime) -> bool:
        """Whether the stage has been held long enough to be judged."""
        return now - entered_at >= self.hold


def check_ramp(stages: tuple[Stage, ...]) -> None:
    """A ramp has a stage and never steps down: that is what withdrawal is for."""
    if not stages:
        raise InvalidRamp("A ramp needs at least one stage.")
    for earlier, later in itertools.pairwise(stages):
        if later.share <= earlier.share:
            raise InvalidRamp(
                f"Each stage must be larger than the one before: {later.share} follows "
                f"{earlier.share}.",
                faults=(Fault("ramp", "shares must rise"),),
            )


@dataclass(frozen=True, slots=True)
class Variation:
    """One version of the experience, and its part of the covered traffic."""

    key: str
    name: str
    value: Any
    share: float


def check_variations(variations: tuple[Variation, ...], control: str) -> None:
    """Two or more variations, distinct, one of them control, shares that sum to one."""
    faults: list[Fault] = []
    keys = [item.key for item in variations]
    if len(variations) < 2:
        faults.append(Fault("variations", "a rollout compares at least two"))
    if len(set(keys)) != len(keys):
        faults.append(Fault("variations", "each needs a key of its own"))
    if control not in keys:
        faults.append(Fault("control", f"{control!r} is not one of the variations"))
    if any(not isfinite(item.share) or item.share <= 0 for item in variations):
        faults.append(Fault("variations.share", "every share must be above 0"))
    elif not isclose(sum(item.share for item in variations), 1, abs_tol=1e-6):
        faults.append(Fault("variations.share", "the shares must sum to 1"))
    if faults:
        raise Invalid(f"The variations do not fit: {faults[0].problem}.", faults=tuple(faults))
