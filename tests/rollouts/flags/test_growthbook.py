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
from tests.rollouts.flags.cases import section
from tests.rollouts.flags.makers import ENVIRONMENT, NOW
from tests.rollouts.flags.sdk import Sdk
from tests.rollouts.flags.strategies import (
    FLAGS,
    SAVED_GROUPS,
    brief,
    odd_payloads,
    payloads,
    typed_users,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "growthbook_shop_payload.json"

Payload = dict[str, Any]
GROUPS = {key: SAVED_GROUPS[key] for key in ("staff", "listed", "abroad")}


def served_again(payload: Payload, form: GroupForm = GroupForm.REFERENCES) -> Payload:
    """The payload after it has been read and rendered."""
    groups = payload.get("savedGroups") or {}
    read = read_payload(payload["features"], groups, ENVIRONMENT, payload)
    whole = build(read.flags, ENVIRONMENT, read.groups, NOW, read.carried)
    return adapt(whole, Options(form, with_names=True))


def told(result: Any) -> Any:
    """What an SDK's caller and its tracking plugin see of a result."""
    found = result.experiment_result if hasattr(result, "experiment_result") else None
    found = getattr(result, "experimentResult", found)
    arm = None
    if found is not None:
        arm = (found.key, getattr(found, "variation", getattr(found, "variationId", None)))
    return result.value, str(getattr(result.source, "value", result.source)), arm


def importable(payload: Payload) -> Payload:
    """A generated payload without what is rightly refused: flags that wait for each other."""
    features = {}
    for at, (key, feature) in enumerate(sorted(payload["features"].items())):
        known = [*sorted(payload["features"])[:at], "no-such-flag"]
        rules = [_tidy(rule, known) for rule in feature.get("rules", [])]
        features[key] = {**feature, **({"rules": rules} if "rules" in feature else {})}
    return {**payload, "features": features, "savedGroups": GROUPS}


def _tidy(rule: Payload, known: list[str]) -> Payload:
    tidy = _walk(rule)
    if "parentConditions" in rule:
        tidy["parentConditions"] = [i for i in rule["parentConditions"] if i["id"] in known]
    return dict(tidy)


def _walk(item: Any) -> Any:
    if isinstance(item, list):
        return [_walk(part) for part in item]
    if not isinstance(item, dict):
        return item
    out = {}
    for name, part in item.items():
        if name in ("$regex", "$regexi") and part == "(":
            out[name] = "."
        elif name == "seed" or (name == "namespace"):
            out[name] = _named(part)
        else:
            out[name] = _walk(part)
    return out


def _named(part: Any) -> Any:
    if isinstance(part, str):
        return part.replace("\0", "")
    return [_named(part[0]), *part[1:]]


@settings(brief)
@given(payloads() | odd_payloads, st.lists(typed_users, min_size=1, max_size=4))
def test_our_engine_cannot_tell_the_two_payloads_apart(payload, users):
    """Value, source and variation of every flag, and every exposure."""
    first = importable(payload)
    again = served_again(first)
    note(json.dumps([first["features"], again["features"]]))
    before, after = (
        compile_payload(item["features"], item["savedGroups"], item.get("contextualBandits"))
        for item in (first, again)
    )

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
@given(payloads() | odd_payloads, st.lists(typed_users, min_size=1, max_size=4))
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


AHEAD = {"a": {"$regex": "a(?=b)"}}
DEEP: Any = {"a": 1}
for _ in range(22):
    DEEP = {"$not": DEEP}

REFUSED = [
    (one({"force": 1, "tracks": [{}]}), "features.f.rules.0.tracks"),
    (one({"force": 1, "condition": AHEAD}), "features.f.rules.0.condition.a.$regex"),
    (one({"force": 1, "condition": DEEP}), "features.f.rules.0.condition"),
    (one({"variations": [1, 2], "weights": ["a", 1]}), "features.f.rules.0.weights"),
    (one({"variations": [1, 2], "namespace": ["a", 1]}), "features.f.rules.0.namespace"),
    (one({"variations": [1, 2], "meta": ["a"]}), "features.f.rules.0.meta.0"),
    (one({"variations": {"a": 1}}), "features.f.rules.0.variations"),
    (one({"force": 1, "coverage": "half"}), "features.f.rules.0.coverage"),
    (one({"force": 1, "filters": [{"seed": "a", "ranges": [[0]]}]}), "rules.0.filters.0.ranges"),
    (one("force"), "features.f.rules.0"),
    (one({"force": 1}, metadata="p"), "features.f.metadata"),
    ({"features": {"f": {"rules": {}}}}, "features.f.rules"),
    ({"features": {"f": 1}}, "features.f"),
    ({"features": {}, "savedGroups": {"g": {"type": "sql"}}}, "savedGroups.g"),
    ({"features": {}, "savedGroups": {"g": {"type": "list", "values": []}}}, "savedGroups.g"),
    ({"features": {}, "experiments": ["x"]}, "experiments.0"),
    ({"features": {}, "experiments": [{"condition": AHEAD}]}, "experiments.0.condition.a.$regex"),
    ({"features": {}, "experiments": [{"parentConditions": [{}]}]}, "0.parentConditions.0"),
    ({"features": {}, "contextualBandits": {"b": 1}}, "contextualBandits.b"),
]


@pytest.mark.parametrize(("payload", "where"), REFUSED)
def test_what_cannot_be_kept_is_refused_by_its_name(payload: Payload, where: str):
    """Rather than served differently."""
    with pytest.raises(Invalid) as refused:
        read_payload(payload["features"], payload.get("savedGroups", {}), ENVIRONMENT, payload)

    assert any(fault.where.endswith(where) for fault in refused.value.faults)


def test_what_never_acts_is_left_out_and_said():
    """A rule without a value that is no gate does nothing in any SDK."""
    read = read_payload({"f": {"rules": [{"condition": {"a": 1}}, {"variations": [1]}]}}, {}, "p")

    assert read.flags[0].state("p").rules == ()
    assert len(read.notes) == 2


UNKNOWN_GROUP = {"force": 2, "condition": {"id": {"$notInGroup": "nobody"}}}
BARE = {"force": 2, "condition": {"$savedGroup": {"id": "bare"}}}
CONTEXTUAL = {
    "key": "x",
    "contextualVariations": [1, 2],
    "contextualBanditRef": "cb",
    "meta": [{"key": "a b"}, {"key": "ä"}],
}
GATES = [{"id": "gone", "condition": {"value": 1}}, {"id": "gone", "gate": True, "condition": {}}]

NOTED = [
    (one({"force": 2, "tracks": [], "weights": [1], "enabled": False}), "enabled, weights"),
    (one({"force": 2, "coverage": 0.5, "hashVersion": 3}), "hash version 3"),
    (one({"variations": [2, 3], "url": "/x"}), "url has no effect"),
    (one({"variations": [2, 3], "meta": [{"group": 1}]}), "meta.0.group"),
    (
        one({"force": 2, "condition": {"a": {"$near": 1}}}),
        "$near as it is here is passed by nobody",
    ),
    (one({"force": 2, "condition": {"a": {"$in": "x"}}}), "$in as it is"),
    (one({"force": 2, "condition": {"a": {"$type": "date"}}}), "$type as it is"),
    (one(UNKNOWN_GROUP), "saved group 'nobody'"),
    (one(BARE), "bare list 'bare'"),
    (one({"force": 2, "parentConditions": [{"id": "gone"}]}), "flag 'gone'"),
    (one({"parentConditions": GATES}), "lets nobody past"),
    (one({"force": 2}, project="p", tags=["a"]), "project, tags has no effect"),
    (one(CONTEXTUAL), "'cb' keeps the weights"),
    (
        {"features": {"f": {"rules": [{"id": "r", "force": 1}, {"id": "r", "force": 2}]}}},
        "has the id 'r' of one before it",
    ),
]


@pytest.mark.parametrize(("payload", "words"), NOTED)
def test_what_is_said_in_other_words_is_noted_and_means_the_same(payload: Payload, words: str):
    """To both engines, for users with and without what the rules ask for."""
    bandits = {"cb": {"banditVersion": 3, "contexts": [{"leafId": 1, "weights": [0, 1]}]}}
    whole = {**payload, "savedGroups": {"bare": ["u1"]}, "contextualBandits": bandits}
    read = read_payload(whole["features"], whole["savedGroups"], ENVIRONMENT, whole)
    again = served_again(whole)

    assert any(words in text for text in read.notes), read.notes
    for attributes in ({}, {"id": "u1"}, {"id": "u2", "a": "x"}, {"a": 1}):
        found = []
        for item in (whole, again):
            groups, contexts = item["savedGroups"], item["contextualBandits"]
            program = compile_payload(item["features"], groups, contexts)
            found.append(told(program.evaluate("f", User(dict(attributes)))))
            found.append(told(Sdk(item).evaluate("f", dict(attributes))))
        assert len(set(map(repr, found))) == 1


def test_what_flags_say_of_themselves_comes_back():
    """Projects, tags and whatever else is metadata, unless the connection is not to tell."""
    told_of = {"projects": ["p"], "tags": ["a"], "customFields": {"team": "checkout"}}
    read = read_payload({"f": {"defaultValue": 1, "metadata": told_of}}, {}, ENVIRONMENT)
    whole = build(read.flags, ENVIRONMENT, read.groups, NOW)

    assert adapt(whole, Options())["features"]["f"] == {"defaultValue": 1, "metadata": told_of}
    assert adapt(whole, Options(with_metadata=False))["features"]["f"] == {"defaultValue": 1}


AUTO = {
    "key": "visual",
    "status": "running",
    "changeId": "vcs_1",
    "variations": [{}, {"domMutations": [{"selector": "h1", "action": "set", "value": "Hi"}]}],
    "urlPatterns": [{"include": True, "type": "simple", "pattern": "/pricing"}],
    "weights": [0.5, 0.5],
    "condition": {"$savedGroup": {"id": "staff"}},
}


def test_auto_experiments_are_passed_on():
    """Unchanged, but for saved groups, which come in each connection's form."""
    groups = {"staff": {"type": "list", "attributeKey": "id", "values": ["u1"]}}
    whole = {"features": {}, "savedGroups": groups, "experiments": [AUTO]}

    assert served_again(whole)["experiments"] == [AUTO]
    assert served_again(whole)["savedGroups"] == groups
    inline = served_again(whole, GroupForm.INLINE)
    assert inline["experiments"] == [{**AUTO, "condition": {"id": {"$in": ["u1"]}}}]


@pytest.mark.parametrize("case", section("feature"), ids=lambda case: case[0])
def test_every_case_of_the_sdks_comes_through(case: Any):
    """GrowthBook's own features: imported, served again, each gives the result it should."""
    _, context, key, expected = case
    payload = {
        "features": context.get("features") or {},
        "savedGroups": context.get("savedGroups") or {},
        "contextualBandits": context.get("contextualBandits"),
    }
    again = served_again(payload)
    program = compile_payload(
        again["features"], again["savedGroups"], again.get("contextualBandits")
    )
    user = User(
        context.get("attributes") or {},
        context.get("forcedVariations") or {},
        context.get("forcedFeatures") or {},
        context.get("url") or "",
    )
    found = program.evaluate(key, user).to_json()
    for name in ("value", "on", "off", "source"):
        assert found[name] == expected[name], (found, expected)
