"""Real experiments through the HTTP ingest of a running service, against scipy and statsmodels."""

import csv
import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from tests.live import LiveService

BATCH = 1_000
ARMS = {"No E-Mail": "none", "Mens E-Mail": "mens", "Womens E-Mail": "womens"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    service = LiveService(tmp_path_factory.mktemp("live"))
    service.start()
    yield service
    service.stop()


def rows_of(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


def send(live: LiveService, events: Iterable[dict[str, Any]]) -> None:
    key = live.api.post("/write-keys", {"name": "real data"})["write_key"]
    session = requests.Session()
    session.auth = (key, "")
    held = list(events)
    for at in range(0, len(held), BATCH):
        answer = session.post(f"{live.url}/v1/batch", json={"batch": held[at : at + BATCH]})
        assert answer.status_code == 200, answer.text
        assert "rejected" not in answer.json() or not answer.json()["rejected"]


def track(unit: str, event: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": event,
        "userId": unit,
        "messageId": f"{unit}-{event}-{properties.get('experiment_id', '')}",
        "properties": properties,
    }


def exposures(rollout: str, pairs: Iterable[tuple[str, str, dict[str, Any]]]):
    for unit, arm, more in pairs:
        yield track(unit, "Experiment Viewed", experiment_id=rollout, variation_id=arm, **more)


def plan(key: str, arms: list[tuple[str, float]], rails: list[str], **over: Any) -> dict[str, Any]:
    return {
        "key": key,
        "name": key,
        "flag": key,
        "variations": [{"key": arm, "value": arm, "share": share} for arm, share in arms],
        "control": arms[0][0],
        "guardrails": [{"metric": rail, "margin": 0.5, "action": "observe"} for rail in rails],
        **over,
    }


def launch(live: LiveService, metrics: list[dict[str, Any]], body: dict[str, Any]) -> None:
    live.api.post("/flags", {"key": body["flag"], "kind": "string", "default": ""})
    for metric in metrics:
        live.api.post("/metrics", {"name": metric["key"], "good": "up", **metric})
    live.api.post("/rollouts", body)
    live.api.post(f"/rollouts/{body['key']}/start")


def metric_of(arm: dict[str, Any], key: str) -> dict[str, Any]:
    return next(item for item in arm["metrics"] if item["key"] == key)


def check_arm(found: dict[str, Any], values: np.ndarray) -> None:
    assert found["n"] == len(values)
    assert found["total"] == pytest.approx(values.sum(), rel=1e-9)
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-9)


def test_hillstrom_three_versions_with_the_preferred_channel_as_segment(
    live: LiveService, shared: Path
):
    """64,000 customers: units, split, levels, effects and segments, each computed twice."""
    rows = rows_of(shared / "data" / "hillstrom.csv.gz")
    metrics = [
        {"key": "visits", "event": "visit", "aggregation": "any"},
        {"key": "purchases", "event": "purchase", "aggregation": "any"},
        {"key": "spend", "event": "purchase", "aggregation": "sum"},
    ]
    arms = [(arm, 1 / 3) for arm in ARMS.values()]
    launch(
        live,
        metrics,
        plan(
            "hillstrom",
            arms,
            ["visits", "purchases", "spend"],
            segments=["channel"],
            planned_units=64_000,
        ),
    )
    who = [(f"h{r['customer_id']}", ARMS[r["segment"]], {"channel": r["channel"]}) for r in rows]
    send(live, exposures("hillstrom", who))
    send(live, (track(f"h{r['customer_id']}", "visit") for r in rows if r["visit"] == "1"))
    send(
        live,
        (
            track(f"h{r['customer_id']}", "purchase", value=float(r["spend"]))
            for r in rows
            if r["conversion"] == "1"
        ),
    )

    body = live.api.post("/rollouts/hillstrom/looks")

    data = {
        (name, key): np.array([float(r[column]) for r in rows if ARMS[r["segment"]] == name])
        for name in ARMS.values()
        for key, column in (("visits", "visit"), ("purchases", "conversion"), ("spend", "spend"))
    }
    counts = [len(data[name, "visits"]) for name in ARMS.values()]
    assert [item["n"] for item in body["units"]["by_variation"]] == counts
    assert body["srm"]["p_value"] == pytest.approx(stats.chisquare(counts).pvalue, rel=1e-9)
    assert body["srm"]["state"] == "ok"
    for arm in body["arms"]:
        for key in ("visits", "purchases", "spend"):
            found = metric_of(arm, key)
            old, new = data["none", key], data[arm["key"], key]
            check_arm(found["control"], old)
            check_arm(found["treatment"], new)
            relative = found["relative"]
            assert relative["estimate"] == pytest.approx(new.mean() / old.mean() - 1, rel=1e-6)
            assert found["absolute"]["estimate"] == pytest.approx(new.mean() - old.mean(), rel=1e-6)
            fixed = fixed_ratio(old, new)
            assert relative["low"] < fixed[0] < fixed[1] < relative["high"]
            assert relative["high"] - relative["low"] < 3 * (fixed[1] - fixed[0])
        check_segments(arm, rows)


def fixed_ratio(old: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """A plain 95 % interval of the ratio on the log scale, minus one, for one look."""
    error = np.sqrt(sum(a.var(ddof=1) / len(a) / a.mean() ** 2 for a in (old, new)))
    middle = np.log(new.mean() / old.mean())
    ends = np.exp([middle - 1.96 * error, middle + 1.96 * error]) - 1
    return float(ends[0]), float(ends[1])


def check_segments(arm: dict[str, Any], rows: list[dict[str, str]]) -> None:
    held = {item["key"]: item for item in arm["segments"][0]["metrics"]}
    assert arm["segments"][0]["attribute"] == "channel"
    for item in held["spend"]["values"]:
        old, new = (
            [
                float(r["spend"])
                for r in rows
                if r["channel"] == item["value"] and ARMS[r["segment"]] == name
            ]
            for name in ("none", arm["key"])
        )
        interval = stats.ttest_ind(new, old, equal_var=False).confidence_interval()
        assert (item["control"]["n"], item["treatment"]["n"]) == (len(old), len(new))
        assert (item["absolute"]["low"], item["absolute"]["high"]) == pytest.approx(
            (interval.low, interval.high), rel=1e-7
        )
    for item in held["visits"]["values"]:
        here = [r for r in rows if r["channel"] == item["value"]]
        old, new = (
            [int(r["visit"]) for r in here if ARMS[r["segment"]] == name]
            for name in ("none", arm["key"])
        )
        score = confint_proportions_2indep(sum(new), len(new), sum(old), len(old), method="newcomb")
        assert (item["absolute"]["low"], item["absolute"]["high"]) == pytest.approx(score, abs=1e-3)


def test_cookie_cats_a_moved_gate(live: LiveService, shared: Path):
    """90,189 players: kept a day and a week later, and rounds played."""
    rows = rows_of(shared / "data" / "cookie_cats.csv.gz")
    metrics = [
        {"key": "kept-1", "event": "kept_1", "aggregation": "any"},
        {"key": "kept-7", "event": "kept_7", "aggregation": "any"},
        {"key": "rounds", "event": "rounds", "aggregation": "sum"},
    ]
    arms = [("gate_30", 0.5), ("gate_40", 0.5)]
    launch(
        live,
        metrics,
        plan("cookie-cats", arms, ["kept-1", "kept-7", "rounds"], planned_units=90_000),
    )
    send(live, exposures("cookie-cats", ((f"c{r['userid']}", r["version"], {}) for r in rows)))
    for event, column in (("kept_1", "retention_1"), ("kept_7", "retention_7")):
        send(live, (track(f"c{r['userid']}", event) for r in rows if r[column] == "1"))
    send(
        live,
        (
            track(f"c{r['userid']}", "rounds", value=int(r["sum_gamerounds"]))
            for r in rows
            if r["sum_gamerounds"] != "0"
        ),
    )

    body = live.api.post("/rollouts/cookie-cats/looks")

    versions = ("gate_30", "gate_40")
    counts = [sum(r["version"] == v for r in rows) for v in versions]
    assert [item["n"] for item in body["units"]["by_variation"]] == counts
    assert body["srm"]["p_value"] == pytest.approx(stats.chisquare(counts).pvalue, rel=1e-9)
    for key, column in (
        ("kept-1", "retention_1"),
        ("kept-7", "retention_7"),
        ("rounds", "sum_gamerounds"),
    ):
        old, new = (
            np.array([float(r[column]) for r in rows if r["version"] == v]) for v in versions
        )
        found = metric_of(body["arms"][0], key)
        check_arm(found["control"], old)
        check_arm(found["treatment"], new)
        assert found["relative"]["estimate"] == pytest.approx(new.mean() / old.mean() - 1, rel=1e-6)
