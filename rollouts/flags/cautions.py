"""What to know about a flag that may be saved as it is: where SDKs would decide differently."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rollouts.flags import payload
from rollouts.flags.evaluation.disagreements import sdk_disagreements
from rollouts.flags.model import Flag


@dataclass(frozen=True, slots=True)
class Caution:
    """One thing to know about one rule."""

    environment: str
    rule: str  # its id
    text: str


def cautions(flag: Flag, now: datetime) -> list[Caution]:
    """Rules, as they are served now, that the SDKs of two languages read differently."""
    return [
        Caution(environment, rule.get("id", ""), text)
        for environment in sorted(flag.states)
        for rule in payload.feature(flag, environment, now).get("rules", ())
        for text in sdk_disagreements(rule)
    ]
