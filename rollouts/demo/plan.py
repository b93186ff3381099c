"""What the demo's team decides before launch: flag, metrics, limits, budget, ramp."""

from __future__ import annotations

from typing import Any

FLAG = ROLLOUT = "guided-returns"
BUDGET = 100
CONTACTS, PROBLEMS, ORDERS = "contacts", "journey-problems", "orders"


def flag() -> dict[str, Any]:
    """The flag that gates the change."""
    return {
        "key": FLAG,
        "kind": "boolean",
        "default": False,
        "description": "Guides customers through a return, step by step.",
        "tags": ["demo"],
    }


def metrics() -> list[dict[str, Any]]:
    """What is counted."""
    return [
        {
            "key": CONTACTS,
            "name": "Contacts to support",
            "description": "On any channel: phone, chat or e-mail.",
            "event": "support_contact",
            "aggregation": "count",
            "good": "down",
            "harm_unit": "contacts",
            "window_seconds": 7 * 86_400,
        },
        {
            "key": PROBLEMS,
            "name": "Problems met",
            "description": "Defects and dents in the returns journey.",
            "event": "journey_problem",
            "aggregation": "count",
            "good": "down",
            "harm_unit": "problems",
            "window_seconds": 7 * 86_400,
        },
        {
            "key": ORDERS,
            "name": "Repeat orders",
            "description": "Customers who ordered again.",
            "event": "order_completed",
            "aggregation": "any",
            "good": "up",
            "harm_unit": "orders",
            "window_seconds": 7 * 86_400,
        },
    ]


def rollout() -> dict[str, Any]:
    """The plan that is locked before the first customer."""
    return {
        "key": ROLLOUT,
        "name": "Guided returns",
        "hypothesis": "Guiding customers through a return brings more of them back to order.",
        "owner": "Priya Nair",
        "flag": FLAG,
        "environment": "production",
        "unit": "id",
        "variations": [
            {"key": "control", "name": "Old page", "value": False, "share": 0.5},
            {"key": "guided", "name": "New page", "value": True, "share": 0.5},
        ],
        "control": "control",
        "ramp": [{"share": 0.2, "hold_seconds": 15}, {"share": 1.0, "hold_seconds": 0}],
        "goals": [{"metric": ORDERS, "smallest_worthwhile": 0.05}],
        "guardrails": [
            {
                "metric": CONTACTS,
                "margin": 0.25,
                "weight": 3,
                "budget": {"amount": BUDGET, "hold_at": 0.6},
                "reason": "Above this the phone queue passes three minutes.",
            },
            {"metric": PROBLEMS, "margin": 0.25, "reason": "The page must not break more often."},
        ],
        "look_every_seconds": 2,
        "planned_units": 10_000,
    }
