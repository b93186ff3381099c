"""The words that stand for findings and states, each with its sign."""

from __future__ import annotations

import re

FINDINGS = {
    "harm": "Harm shown",
    "safe": "Safe within limit",
    "unknown": "Not yet known",
    "nodata": "No data",
}

# state: (icon, word, class); shape and word say what the colour repeats.
STATES = {
    "draft": ("draft", "Draft", ""),
    "running": ("run", "Running", ""),
    "paused": ("hold", "Paused", "c-hold"),
    "held": ("hold", "Held", "c-hold"),
    "withdrawn": ("back", "Withdrawn", "c-harm"),
    "shipped": ("ship", "Shipped", ""),
    "stopped": ("off", "Stopped", ""),
}

KINDS = {
    "withdrawn": "withdrawn",
    "shipped": "shipped",
    "stopped": "stopped",
    "held": "the ramp is held",
    "harm": "beyond the limit",
    "early": "too early to say",
    "safe": "nothing beyond its limit",
    "unjudged": "",
    "futile": "hardly to be shown any more",
}

LOOKS = {
    "withdrawn": "withdrawn",
    "shipped": "shipped",
    "stopped": "stopped",
    "held": "held",
    "harm": "harm shown",
    "early": "too early",
    "safe": "safe",
    "unjudged": "cannot be judged",
    "futile": "not working",
}

CHECKS = {
    "ok": ("safe", "c-safe"),
    "warn": ("warn", "c-hold"),
    "broken": ("harm", "c-harm"),
    "unknown": ("nodata", "c-nodata"),
}

EVENTS = {
    "lock": ("lock", ""),
    "run": ("run", ""),
    "hold": ("hold", "c-hold"),
    "harm": ("harm", "c-harm"),
    "nodata": ("nodata", "c-nodata"),
    "person": ("person", ""),
    "ship": ("ship", ""),
    "off": ("off", ""),
}


def headline(kind: str, finding: str) -> str:
    """The small line over the verdict: "Harm shown: withdrawn by the stop-loss"."""
    if kind == "unjudged":
        return "Cannot be judged"
    said = FINDINGS.get(finding, "Held" if finding == "hold" else "Not yet known")
    more = KINDS.get(kind, "")
    return f"{said}: {more}" if more else said


def unit_words(attribute: str) -> tuple[str, str]:
    """One and many of who is randomised: "customer_id" gives ("customer", "customers")."""
    bare = re.sub(r"[_\-\s]?(id|Id|ID|key|uuid)$", "", attribute.strip())
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare).replace("_", " ").replace("-", " ")
    one = spaced.lower().strip() or "customer"
    return one, one[:-1] + "ies" if one.endswith("y") and one[-2:-1] not in "aeiou" else f"{one}s"


def field_words(name: str) -> str:
    """A form's field for people: "rules.1.value" gives "Rule 2, value"."""
    parts = ["rule"] if name.startswith("rules.") else []
    for part in name.removeprefix("rules.").replace("_", " ").split("."):
        number = part.isdigit()
        if number and parts:
            parts[-1] = f"{parts[-1]} {int(part) + 1}"
        else:
            parts.append(part)
    return ", ".join(parts).capitalize()
