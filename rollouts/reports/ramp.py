"""The ramp as a report draws it: the stages behind, the one now, those to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.web import formatting as say


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the ramp as it is drawn."""

    share: str
    look: str  # done, now, bad, wait
    text: str
    at: str | None


def ramp_of(body: Mapping[str, Any]) -> tuple[Step, ...]:
    """The stages: those behind, the one now, those to come."""
    stage, state = body["stage"], body["rollout"]["state"]
    here = "bad" if state == "withdrawn" else "now"
    steps = []
    for place, item in enumerate(stage["stages"]):
        look = "done" if place < stage["index"] else here if place == stage["index"] else "wait"
        text, at = f"for {say.duration(item['hold_seconds'])}", None
        if place == stage["index"]:
            text, at = _here(state), stage["entered_at"]
        elif place == stage["index"] + 1 and stage["next_at"]:
            text, at = "from", stage["next_at"]
        steps.append(Step(_everyone(item["share"]), look, text, at))
    return tuple(steps)


def _here(state: str) -> str:
    return {"withdrawn": "Withdrawn; entered", "shipped": "Shipped; entered"}.get(
        state, "Now, since" if state in ("running", "paused", "held") else "Entered"
    )


def _everyone(share: float) -> str:
    return "Everyone" if share >= 1 else say.percent(share)
