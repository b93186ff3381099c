"""Simulated customers: what they do, depending on the version they met.

Only here is it known what the change does to people. All that the demo shows is measured by
the service from their events.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

CHANNELS = (("phone", 0.45), ("chat", 0.35), ("email", 0.20))


@dataclass(frozen=True, slots=True)
class Effects:
    """How often things happen to a customer, on the old version, and times how much on the new."""

    contacts: float = 0.08
    contacts_change: float = 1.5
    orders: float = 0.25
    orders_change: float = 1.25
    problems: float = 0.30
    problems_change: float = 0.95

    def harmless(self) -> Effects:
        """The same change, but nobody needs more help because of it."""
        return Effects(
            contacts=self.contacts,
            contacts_change=0.97,
            orders=self.orders,
            orders_change=self.orders_change,
            problems=self.problems,
            problems_change=self.problems_change,
        )


@dataclass(frozen=True, slots=True)
class Happening:
    """Something a customer does, so many seconds after meeting the page."""

    event: str
    channel: str
    after_seconds: float
    properties: dict[str, Any]


def attributes(seed: int, number: int) -> dict[str, Any]:
    """Who customer `number` is."""
    rng = random.Random(f"{seed}:{number}:who")
    return {
        "id": f"customer-{seed}-{number}",
        "country": rng.choices(("GB", "IE", "FR"), (0.7, 0.1, 0.2))[0],
        "is_new": rng.random() < 0.3,
    }


def life(seed: int, number: int, is_new_version: bool, effects: Effects) -> list[Happening]:
    """What customer `number` does after meeting a version; the same for the same seed."""
    rng = random.Random(f"{seed}:{number}:life")
    on = 1 if is_new_version else 0
    happened = []
    if rng.random() < effects.orders * effects.orders_change**on:
        value = round(rng.lognormvariate(3.2, 0.6), 2)
        happened.append(Happening("order_completed", "web", _soon(rng), {"value": value}))
    for _ in range(_poisson(rng, effects.problems * effects.problems_change**on)):
        step = rng.choice(("choose items", "give a reason", "print the label"))
        happened.append(Happening("journey_problem", "web", _soon(rng), {"step": step}))
    for contact in range(_poisson(rng, effects.contacts * effects.contacts_change**on)):
        channel = rng.choices([name for name, _ in CHANNELS], [part for _, part in CHANNELS])[0]
        properties = {"reason": _reason(rng, on), "is_repeat": contact > 0}
        happened.append(Happening("support_contact", channel, _soon(rng), properties))
    return happened


def _reason(rng: random.Random, on: int) -> str:
    unclear = 0.6 if on else 0.35
    return rng.choices(("did not understand", "it broke", "other"), (unclear, 0.25, 0.4))[0]


def _soon(rng: random.Random) -> float:
    return 1.5 + rng.expovariate(0.8)


def _poisson(rng: random.Random, mean: float) -> int:
    """Counts with some customers needing far more than others."""
    wanted = rng.gammavariate(2.0, mean / 2.0)
    total, n = rng.expovariate(1.0), 0
    while total < wanted:
        total += rng.expovariate(1.0)
        n += 1
    return n
