"""How many users a second get all their flags, beside the Python SDK's own engine.

Run from the checkout: python -m tests.benchmarks.evaluation_speed
"""

import gc
import json
import logging
from collections.abc import Callable
from random import Random
from time import perf_counter
from typing import Any

from rollouts.flags.evaluation.program import compile_payload
from rollouts.flags.evaluation.results import User
from tests.rollouts.flags.sdk import Sdk

COUNTRIES = [
    "US",
    "GB",
    "DE",
    "FR",
    "ES",
    "IT",
    "NL",
    "SE",
    "NO",
    "DK",
    "PL",
    "BR",
    "MX",
    "CA",
    "AU",
    "NZ",
    "JP",
    "KR",
    "IN",
    "ZA",
]
PLANS = ["free", "team", "business", "enterprise"]
AREAS = [
    "checkout",
    "search",
    "billing",
    "onboarding",
    "profile",
    "inbox",
    "reports",
    "export",
    "admin",
    "mobile",
]


def make_payload(n_flags: int = 200, seed: int = 1) -> dict[str, Any]:
    """A payload such as a mid-sized product has: about 500 bytes a flag, the same every time.

    Of ten flags three are switches without rules, two target by attributes, two roll out to a
    share, two run an experiment, and one waits for another flag. One in eight texts is long.
    """
    random = Random(seed)
    features: dict[str, Any] = {}
    for index in range(n_flags):
        key = f"{random.choice(AREAS)}-{random.choice(AREAS)}-{index:03}"
        features[key] = _KINDS[index % 10](random, key, list(features))
    groups = {"staff": [f"user-{random.randrange(100_000)}" for _ in range(400)]}
    return {"status": 200, "features": features, "savedGroups": groups}


def make_user(number: int) -> dict[str, Any]:
    """Attributes of one of any number of users."""
    random = Random(number)
    return {
        "id": f"user-{random.randrange(100_000)}",
        "company": f"company-{random.randrange(5_000)}",
        "country": random.choice(COUNTRIES),
        "plan": random.choice(PLANS),
        "employee": random.random() < 0.02,
        "version": f"{random.randrange(1, 5)}.{random.randrange(20)}.{random.randrange(10)}",
        "seats": random.randrange(1, 500),
        "url": f"https://shop.example/{random.choice(AREAS)}",
        "browser": random.choice(["chrome", "firefox", "safari", "edge"]),
        "tags": random.sample(AREAS, 3),
    }


def _switch(random: Random, key: str, _: list[str]) -> dict[str, Any]:
    if random.random() < 0.6:
        return {"defaultValue": random.random() < 0.5}
    text = f"{key} " * random.choice([10, 60])
    return {"defaultValue": {"title": text, "limit": random.randrange(100), "colours": ["a", "b"]}}


def _targeted(random: Random, key: str, _: list[str]) -> dict[str, Any]:
    staff = {"id": f"fr_{key}_staff", "condition": {"id": {"$inGroup": "staff"}}, "force": True}
    rules = [
        {"id": f"fr_{key}_{index}", "condition": _condition(random), "force": random.random() < 0.5}
        for index in range(random.choice([1, 2, 3]))
    ]
    return {"defaultValue": False, "rules": [staff, *rules]}


def _rollout(random: Random, key: str, _: list[str]) -> dict[str, Any]:
    rule = {
        "id": f"fr_{key}",
        "condition": _condition(random),
        "force": True,
        "hashAttribute": random.choice(["id", "id", "company"]),
        "seed": key,
        "hashVersion": 2,
        "range": [0, random.choice([0.01, 0.1, 0.25, 0.5, 1])],
    }
    everyone = {"id": f"fr_{key}_all", "force": True, "coverage": 0.2501, "hashAttribute": "id"}
    return {"defaultValue": False, "rules": [rule, everyone][: random.choice([1, 2])]}


def _experiment(random: Random, key: str, _: list[str]) -> dict[str, Any]:
    n = random.choice([2, 2, 3])
    text = random.choice([1, 1, 20])
    rule: dict[str, Any] = {
        "id": f"fr_{key}",
        "key": f"exp-{key}",
        "name": f"Does a new {key} bring more orders?",
        "seed": f"exp-{key}",
        "hashAttribute": "id",
        "hashVersion": 2,
        "phase": "0",
        "coverage": random.choice([0.2, 0.5, 1, 1]),
        "weights": [round(1 / n, 4)] * n,
        "variations": [f"{key} arm {arm} " * text for arm in range(n)],
        "meta": [{"key": str(arm), "name": f"Variation {arm}"} for arm in range(n)],
    }
    if random.random() < 0.5:
        rule["condition"] = _condition(random)
    if random.random() < 0.3:
        ranges = [[0, 0.5]] if random.random() < 0.5 else [[0.5, 1]]
        rule["filters"] = [{"seed": f"ns-{key[:4]}", "attribute": "id", "ranges": ranges}]
    return {"defaultValue": f"{key} default", "rules": [rule]}


def _waiting(random: Random, key: str, earlier: list[str]) -> dict[str, Any]:
    parent = {"id": random.choice(earlier), "condition": {"value": {"$exists": True}}}
    rule = {"id": f"fr_{key}", "parentConditions": [parent], "force": "on"}
    return {"defaultValue": "off", "rules": [{**rule, "condition": _condition(random)}]}


_KINDS: list[Callable[[Random, str, list[str]], dict[str, Any]]] = [
    *(_switch, _targeted, _rollout, _experiment, _switch),
    *(_targeted, _rollout, _experiment, _switch, _waiting),
]


def _condition(random: Random) -> dict[str, Any]:
    return random.choice(
        [
            lambda: {"country": random.choice(COUNTRIES)},
            lambda: {"country": {"$in": random.sample(COUNTRIES, 6)}},
            lambda: {"plan": {"$in": ["business", "enterprise"]}, "seats": {"$gte": 50}},
            lambda: {"version": {"$vgte": f"{random.randrange(1, 4)}.2.0"}},
            lambda: {"employee": True},
            lambda: {"$or": [{"employee": True}, {"plan": "enterprise"}, {"seats": {"$gt": 300}}]},
            lambda: {"tags": {"$elemMatch": {"$eq": random.choice(AREAS)}}},
            lambda: {"$not": {"browser": {"$in": ["edge", "safari"]}}},
        ]
    )()


def _users_a_second(evaluate: Callable[[dict[str, Any]], object], users: list[Any]) -> float:
    """The best of three passes, since other work on the machine only ever slows one down."""
    return max(_one_pass(evaluate, users) for _ in range(3))


def _one_pass(evaluate: Callable[[dict[str, Any]], object], users: list[Any]) -> float:
    gc.collect()
    started = perf_counter()
    for user in users:
        evaluate(user)
    return len(users) / (perf_counter() - started)


def main(n_users: int = 300) -> float:
    """Prints both speeds; returns how many times faster the compiled rules are."""
    logging.disable(logging.WARNING)
    payload = make_payload()
    users = [make_user(number) for number in range(n_users)]
    program = compile_payload(payload["features"], payload["savedGroups"])
    sdk, keys = Sdk(payload), list(payload["features"])
    ours = _users_a_second(lambda user: program.evaluate_all(User(user)), users)
    theirs = _users_a_second(lambda user: sdk.evaluate_all(keys, user), users)
    size = len(json.dumps(payload, separators=(",", ":")))
    print(f"{len(keys)} flags, {size:,} bytes")
    print(f"compiled rules   {ours:9,.0f} users/s")
    print(f"growthbook 4     {theirs:9,.0f} users/s")
    print(f"ratio            {ours / theirs:9.2f}")
    return ours / theirs


if __name__ == "__main__":
    main()
