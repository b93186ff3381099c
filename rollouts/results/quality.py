"""Can the evidence be believed: one line for each thing that could make it wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from analysis.quality import Check, State
from rollouts.results.evidence import STATES
from rollouts.words import count, percent

CROSSED_WARN = 0.01  # share of units seen in two versions from which it is worth a look
FEED_SILENT_FACTOR = 20  # of the usual distance between looks
FEED_SILENT_LEAST = timedelta(minutes=5)


def quality_lines(body: dict[str, Any], checks: Mapping[str, Check]) -> list[dict[str, str]]:
    """One line for each thing looked at, from a look's own body and the checks made on it."""
    return [
        *_split(body),
        *_split_within(checks),
        *_crossed(body, checks),
        *_refused(body),
        *_untrusted(checks),
        *_feeds(body, checks),
        *_of_metrics(body, checks),
        *_tests(checks),
        *_notes(body),
    ]


def _line(key: str, state: str, label: str, text: str) -> dict[str, str]:
    return {"key": key, "state": state, "label": label, "text": text}


def _split(body: dict[str, Any]) -> Iterator[dict[str, str]]:
    yield _line("split", body["srm"]["state"], "Split as configured", body["srm"]["text"])


def _split_within(checks: Mapping[str, Check]) -> Iterator[dict[str, str]]:
    """One line for each kind of group: stages, days, and each segment that the plan names."""
    for key, check in checks.items():
        if key.startswith("split:"):
            label = f"Split as configured, by {check.name.removeprefix('SRM by ')}"
            yield _line(key, STATES[check.state], label, check.reason)


def _tests(checks: Mapping[str, Check]) -> Iterator[dict[str, str]]:
    for key, check in checks.items():
        if key.startswith("test:"):
            label = f"{check.name[:1].upper()}{check.name[1:]}"
            yield _line(key, STATES[check.state], label, check.reason)


def _crossed(body: dict[str, Any], checks: Mapping[str, Check]) -> Iterator[dict[str, str]]:
    n, total = body["units"]["crossed"], body["units"]["total"]
    share = n / (n + total) if n + total else 0.0
    state = "warn" if share > CROSSED_WARN else "ok"
    check = checks["crossed"]
    if check.state is State.BROKEN:
        yield _line("crossed", "broken", "Seen in two versions", check.reason)
        return
    text = f"{count(n)} people, left out" if n else "nobody"
    yield _line("crossed", state, "Seen in two versions", text)


def _refused(body: dict[str, Any]) -> Iterator[dict[str, str]]:
    for reason, n in sorted(body["units"]["refused"].items()):
        total = n + body["units"]["total"]
        state = "warn" if n / total > CROSSED_WARN else "ok"
        text = f"{count(n)} exposures ({percent(n / total)}): {reason}"
        yield _line(f"refused:{reason}", state, "Exposures not counted", text)


def _untrusted(checks: Mapping[str, Check]) -> Iterator[dict[str, str]]:
    check = checks["untrusted"]
    if check.state is not State.FINE:
        yield _line("untrusted", STATES[check.state], "Exposures that are proven", check.reason)


def _of_metrics(body: dict[str, Any], checks: Mapping[str, Check]) -> Iterator[dict[str, str]]:
    """Silence of one version, and versions that differed before: where there is a question."""
    for metric in body["arms"][0]["metrics"] if body["arms"] else []:
        silent = checks.get(f"silent:{metric['key']}")
        if silent is not None and silent.state is State.WARNING:
            label = f"Events of {metric['name']} from every version"
            yield _line(f"silent:{metric['key']}", "warn", label, silent.reason)
        before = checks.get(f"before:{metric['key']}")
        if before is not None:
            label = f"{metric['name']} alike before the start"
            yield _line(f"before:{metric['key']}", STATES[before.state], label, before.reason)
        response = checks.get(f"response:{metric['key']}")
        if response is not None:
            label = f"{metric['name']}: alike in how many answered"
            yield _line(f"response:{metric['key']}", STATES[response.state], label, response.reason)


def _feeds(body: dict[str, Any], checks: Mapping[str, Check]) -> Iterator[dict[str, str]]:
    taken = datetime.fromisoformat(body["look"]["taken_at"])
    every = body["plan"]["look_every_seconds"] or 0
    silent = max(FEED_SILENT_LEAST, timedelta(seconds=every * FEED_SILENT_FACTOR))
    for metric in body["arms"][0]["metrics"] if body["arms"] else []:
        label = f"Feed of {metric['name']}"
        key = f"feed:{metric['key']}"
        check = checks.get(key)
        if check is not None and check.state is not State.FINE:
            yield _line(key, STATES[check.state], label, check.reason)
            continue
        if metric["last_event_at"] is None:
            yield _line(key, "unknown", label, "no event has arrived since the start")
            continue
        last = datetime.fromisoformat(metric["last_event_at"])
        state = "warn" if taken - last > silent else "ok"
        yield _line(key, state, label, f"last event {last:%d %b %H:%M:%S} UTC")


def _notes(body: dict[str, Any]) -> Iterator[dict[str, str]]:
    for arm in body["arms"]:
        for metric in arm["metrics"]:
            for place, note in enumerate(metric["notes"]):
                key = f"note:{arm['key']}:{metric['key']}:{place}"
                yield _line(key, "warn", metric["name"], note)
