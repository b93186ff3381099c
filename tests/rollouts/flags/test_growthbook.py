"""What was imported from GrowthBook and is served again means the same to every SDK."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from rollouts.errors import Invalid
from rollouts.flags.evaluation.program import compile_payload
from rollouts.flags.evaluation.results import User
from rollouts.flags.growthbook import read_payload
from rollouts.flags.model import FlagKind, GroupForm, Options
from rollouts.flags.payload import adapt, build
from tests.rollouts.flags.makers import ENVIRONMENT, NOW
from tests.rollouts.flags.sdk import Sdk
from tests.rollouts.flags.strategies import FLAGS, SAVED_GROUPS, brief, payloads, typed_users

GOLDEN = Path(__file__).parents[2] / "golden" / "growthbook_shop_payload.json"

Payload = dict[str, Any]
GROUPS = {key: SAVED_GROUPS[key] for key in ("staff", "listed", "abroad")}


def served_again(payload: Payload, form: GroupForm = GroupForm.REFERENCES) -> Payload:
    """The payload after it has been read and rendered."""
    read = read_payload(payload["features"], payload.get("savedGroups") or {}, ENVIRONMENT)
    return adapt(build(read.flags, ENVIRONMENT, read.groups, NOW), Options(form, with_names=True))


def told(result: Any) -> Any:
    """What an SDK's caller and its tracking plugin see of a result."""
    found = result.experiment_result if hasattr(result, "experiment_result") else None
    found = getattr(result, "experimentResult", found)
    arm = None
    if found is not None:
        arm = (found.key, getattr(found, "variation", getattr(found, "variationId", None)))
    return result.value, str(getattr(result.source, "value", result.source)), arm


def importable(payload: Payload) -> Payload:
    """A generated payload without what is rightly refused: what it names exists, once, in order."""
    features = {}
    for at, (key, feature) in enumerate(sorted(payload["features"].items())):
        known = sorted(payload["features"])[:at]
        rules = [_tidy(rule, known, n) for n, rule in enumerate(feature.get("rules", []))]
        features[key] = {**feature, **({"rules": rules} if "rules" in feature else {})}
    return {"features": features, "savedGroups": GROUPS}


def _tidy(rule: Payload, known: list[str], at: int) -> Payload:
    tidy = _walk(rule)
    parents = [item for item in rule.get("parentConditions", []) if item["id"] in known]
    if "parentConditions" in rule:
        tidy["parentConditions"] = parents
    if "id" in rule:
        tidy["id"] = f"{rule['id']}_{at}"
    return tidy


def _walk(item: Any) -> Any:
    if isinstance(item, list):
        return [_walk(part) for part in item]
    if not isinstance(item, dict):
        return item
    out = {}
    for name, part in item.items():
        if name == "$savedGroup":
            out[name] = {"id": part["id"] if part["id"] in ("listed", "abroad") else "listed"}
        elif name in ("$inGroup", "$notInGroup"):
            out[name] = "staff"
        elif name in ("$regex", "$regexi") and part == "(":
            out[name] = "."
        elif name == "seed" or (name == "namespace"):
            out[name] = _named(part)
        else:
            out[name] = _walk(part)
    return out


def _named(part: Any) -> Any:
    if isinstance(part, str):
        return part.replace("\0", "") or "s"
    return [_named(part[0]), *part[1:]]


@settings(brief)
@given(payloads(), st.lists(typed_users, min_size=1, max_size=4))
def test_our_engine_cannot_tell_the_two_payloads_apart(payload, users):
    """Value, source and variation of every flag, and every exposure."""
    first = importable(payload)
    again = served_again(first)
    note(json.dumps([first["features"], again["features"]]))
    before = compile_payload(first["features"], first["savedGroups"])
    after = compile_payload(again["features"], again["savedGroups"])

    for attributes in users:
        for sticky in (None, {}):
            was, is_now = (item.start(User(attributes, sticky=sticky)) for item in (before, after))
            for key in first["features"]:
                assert told(was.result(key)) == told(is_now.result(key))
            assert [_exposed(e) for e in was.exposures] == [_exposed(e) for e in is_now.exposures]
            assert was.changed == is_now.changed


def _exposed(exposure: Any) -> tuple[Any, ...]:
    result = exposure.result
    return exposure.experiment["key"], result.variation, result.key, result.bucket


@settings(brief)
@given(payloads(), st.lists(typed_users, min_size=1, max_size=4))
def test_the_sdk_cannot_tell_the_two_payloads_apart(payload, users):
    """Whichever form the saved groups are delivered in."""
    first = importable(payload)
    before = Sdk(first)
    for form in GroupForm:
        after = Sdk(served_again(first, form))
        for attributes in users:
            was, is_now = (sdk.evaluate_all(FLAGS, attributes) for sdk in (before, after))
            assert {key: told(result) for key, result in was.items()} == {
                key: told(result) for key, result in is_now.items()
            }


shop_users = st.fixed_dictionaries(
    {
        "country": st.sampled_from(["NZ", "AU", "US", "GB"]),
        "age": st.integers(10, 60),
        "browser": st.sampled_from(["Firefox", "GoogleBot"]),
        "version": st.sampled_from(["2.0.9", "2.1.0", "10.0"]),
        "company": st.integers(0, 9).map(lambda n: f"c{n}"),
    },
    optional={"id": st.integers(0, 300).map(lambda n: f"u{n}") | st.just(42)},
)


@pytest.fixture(scope="module")
def shop() -> Payload:
    """A payload as a shop's GrowthBook serves it."""
    return dict(json.loads(GOLDEN.read_text()))


def test_a_shop_moves_in_unnoticed(shop: Payload):
    """Thousands of evaluations of a realistic payload, by our engine and by the SDK."""
    again = served_again(shop)
    engines: list[tuple[Callable[[str, Payload], Any], Callable[[str, Payload], Any]]] = []
    before, after = (compile_payload(p["features"], p["savedGroups"]) for p in (shop, again))
    engines.append(
        (lambda k, a: before.evaluate(k, User(a)), lambda k, a: after.evaluate(k, User(a)))
    )
    old, new = Sdk(shop), Sdk(again)
    engines.append((old.evaluate, new.evaluate))
    seen: dict[str, set[str]] = {key: set() for key in shop["features"]}

    @settings(brief, max_examples=150)
    @given(shop_users)
    def check(attributes: Payload) -> None:
        for was, is_now in engines:
            for key, values in seen.items():
                found = told(was(key, attributes))
                values.add(json.dumps(found))
                assert found == told(is_now(key, attributes))

    check()
    assert {key: len(values) > 1 for key, values in seen.items()} == {
        key: key not in ("support-phone", "untouched") for key in seen
    }


def test_the_kind_of_a_flag_is_the_narrowest_that_fits(shop: Payload):
    """So that later edits are checked as they should be."""
    read = read_payload(shop["features"], shop["savedGroups"], ENVIRONMENT)

    assert {flag.key: flag.kind for flag in read.flags} == {
        "new-checkout": FlagKind.BOOLEAN,
        "delivery-promise": FlagKind.STRING,
        "price-test": FlagKind.NUMBER,
        "banner": FlagKind.JSON,
        "support-phone": FlagKind.STRING,
        "untouched": FlagKind.JSON,
    }


def one(rule: Any, **feature: Any) -> Payload:
    """A payload with one flag of one rule."""
    return {"features": {"f": {"defaultValue": 1, "rules": [rule], **feature}}}


REFUSED = [
    (one({"force": 1, "tracks": []}), "features.f.rules.0.tracks"),
    (one({"force": 1, "hashVersion": 3, "coverage": 0.5}), "environments.production"),
    (one({"force": 1, "condition": {"a": {"$near": 1}}}), "features.f.rules.0.condition.a.$near"),
    (one({"force": 1, "variations": [1, 2]}), "features.f.rules.0.variations"),
    (one({"contextualVariations": [1, 2], "key": "x"}), "features.f.rules.0.contextualVariations"),
    (one({"variations": [1, 2], "url": "x"}), "features.f.rules.0.url"),
    (one({"variations": [1, 2], "weights": ["a", 1]}), "features.f.rules.0.weights"),
    (one({"variations": [1, 2], "meta": [{"group": 1}]}), "features.f.rules.0.meta.0.group"),
    (one({"variations": [1, 2], "namespace": ["a", 1]}), "features.f.rules.0.namespace"),
    (one({"force": 1, "coverage": "half"}), "features.f.rules.0.coverage"),
    (one({"force": 1, "filters": [{"seed": "a", "ranges": [[0]]}]}), "rules.0.filters.0.ranges"),
    (one({"parentConditions": [{"id": "f", "gate": 1}, {"id": "f"}]}), "rules.0.parentConditions"),
    (one({"force": 1, "parentConditions": [{"id": "else"}]}), "features.f"),
    (one({"force": 1, "condition": {"id": {"$inGroup": "nobody"}}}), "features.f"),
    (one("force"), "features.f.rules.0"),
    (one({"force": 1}, project="p"), "features.f.project"),
    ({"features": {"f": {"rules": {}}}}, "features.f.rules"),
    ({"features": {"f": 1}}, "features.f"),
    ({"features": {}, "savedGroups": {"g": {"type": "sql"}}}, "savedGroups.g"),
    ({"features": {}, "savedGroups": {"g": {"type": "list", "values": []}}}, "savedGroups.g"),
    ({**one({"force": 1, "condition": {"$savedGroup": {"id": "g"}}}), "savedGroups": {"g": []}},
     "features.f"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "where"), [case for case in REFUSED if "environments" not in case[1]]
)
def test_what_cannot_be_kept_is_refused_by_its_name(payload: Payload, where: str):
    """Rather than served differently."""
    with pytest.raises(Invalid) as refused:
        read_payload(payload["features"], payload.get("savedGroups", {}), ENVIRONMENT)

    assert any(fault.where.endswith(where) for fault in refused.value.faults)


def test_what_never_acts_is_left_out_and_said():
    """A rule without a value that is no gate does nothing in any SDK."""
    read = read_payload({"f": {"rules": [{"condition": {"a": 1}}, {"variations": [1]}]}}, {}, "p")

    assert read.flags[0].state("p").rules == ()
    assert len(read.notes) == 2
