import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.flags.evaluation.hashing import bucket
from rollouts.flags.evaluation.members import BadRule
from rollouts.flags.evaluation.prerequisites import prerequisite_problem
from rollouts.flags.evaluation.program import Program, compile_payload
from rollouts.flags.evaluation.results import Result, Source, StickyDocument, User
from rollouts.flags.evaluation.urls import url_overrides
from tests.benchmarks.evaluation_speed import make_payload, make_user

from .cases import section, without_cases
from .sdk import Sdk
from .strategies import FLAGS, brief, json_values, payloads, steady, typed_users


def program_of(payload: dict[str, Any]) -> Program:
    return compile_payload(
        payload.get("features", {}),
        payload.get("savedGroups"),
        payload.get("contextualBandits"),
    )


def user_of(context: dict[str, Any]) -> User:
    return User(
        context.get("attributes", {}),
        context.get("forcedVariations", {}),
        url=context.get("url", ""),
        enabled=context.get("enabled", True),
        qa_mode=context.get("qaMode", False),
    )


def evaluate(feature: dict[str, Any], **attributes: Any) -> Result:
    return compile_payload({"flag": feature}).evaluate("flag", User(attributes))


@without_cases
def test_features_equal_the_published_cases():
    """All 46, with the experiment and its result where a case names members of them."""
    cases = section("feature")
    for name, context, key, expected in cases:
        result = program_of(context).evaluate(key, user_of(context)).to_json()
        for part in ("experiment", "experimentResult"):
            wanted, got = expected.pop(part, {}), result.pop(part, {})
            assert {member: got.get(member) for member in wanted} == wanted, name
        assert result == expected, name

    assert len(cases) == 46


@without_cases
def test_experiments_equal_the_published_cases():
    """All cases of `run`: value, whether in the experiment, whether by hash."""
    for name, context, experiment, value, in_experiment, hash_used in section("run"):
        found = None
        if len(experiment["variations"]) > 1:
            found = program_of(context).run(experiment, user_of(context))
        got = (found.value, True, found.hash_used) if found else (None, False, False)

        assert got == (value if in_experiment else None, in_experiment, hash_used), name


@without_cases
def test_sticky_buckets_equal_the_published_cases():
    """The result, and the documents afterwards."""
    for name, context, documents, key, expected, after in section("stickyBucket"):
        program = program_of(context)
        kept = {f"{doc['attributeName']}||{doc['attributeValue']}": doc for doc in documents}
        evaluation = program.start(User(context["attributes"], sticky=kept))
        result = evaluation.result(key).experiment_result
        strangers = kept.keys() - set(program.sticky_keys(context["attributes"]))

        assert (result.to_json() if result else None) == expected, name
        assert {**kept, **evaluation.changed} == {**{s: kept[s] for s in strangers}, **after}, name


@without_cases
def test_overrides_in_the_address_equal_the_published_cases():
    """`?<experiment>=<index>`, in range or nothing."""
    for name, key, url, n_variations, expected in section("getQueryStringOverride"):
        found = url_overrides(url).get(key, -1)

        assert (found if 0 <= found < n_variations else None) == expected, name


def test_a_single_variation_is_no_experiment():
    """It is refused by name, and in a flag it is skipped."""
    program = compile_payload({"flag": {"defaultValue": 1, "rules": [{"variations": [2]}]}})

    assert program.evaluate("flag", User({"id": "1"})).source is Source.DEFAULT_VALUE
    assert program.problems == ["flag, rule 1: there must be at least two variations"]
    with pytest.raises(BadRule):
        program.run({"key": "exp", "variations": [1]}, User({"id": "1"}))


@pytest.mark.parametrize(
    ("members", "by_hash", "by_force"),
    [
        ({}, True, True),
        ({"status": "draft"}, False, True),
        ({"status": "stopped"}, False, True),
        ({"active": False}, False, True),
        ({"condition": {"country": "NZ"}}, False, True),
        ({"hashVersion": 3}, False, True),
    ],
)
def test_forcing_lets_testers_into_what_is_closed_to_others(members, by_hash, by_force):
    """Drafts, stopped experiments, unmet conditions."""
    experiment = {"key": "exp", "variations": [0, 1], **members}
    program = compile_payload({})

    assert bool(program.run(experiment, User({"id": "u"}))) is by_hash
    assert bool(program.run(experiment, User({"id": "u"}, {"exp": 1}))) is by_force
    assert program.run(experiment, User({"id": "u"}, {"exp": 1}, enabled=False)) is None


def same_results(program: Program, sdk: Sdk, attributes: dict[str, Any], **user: Any) -> None:
    ours = program.evaluate_all(User(attributes, **user))
    theirs = sdk.evaluate_all(program.keys, attributes, **user)
    for key, expected in theirs.items():
        result, wanted = ours[key], expected.to_dict()
        assert (result.value, result.source) == (expected.value, expected.source), key
        assert result.rule_id == (expected.ruleId or ""), key
        assert (result.on, result.off) == (wanted["on"], wanted["off"]), key
        if expected.experimentResult:
            assert result.experiment_result is not None
            assert result.experiment_result.to_json() == expected.experimentResult.to_dict(), key


@brief
@given(payloads(), typed_users)
def test_flags_equal_the_python_sdk(payload, attributes):
    """Every flag of any payload for any user: value, source, rule, variation and bucket."""
    same_results(program_of(payload), Sdk(payload), attributes)


@brief
@given(
    payloads(with_conditions=False),
    typed_users,
    st.dictionaries(st.sampled_from(["exp-a", *FLAGS]), st.integers(-1, 3), max_size=3),
    st.sampled_from(["", "https://a.example/?exp-a=1#x", "https://a.example/?x=1&exp-b=9"]),
)
def test_forced_variations_equal_the_python_sdk(payload, attributes, forced, url):
    """By the request or by the page's address, in range or not."""
    same_results(program_of(payload), Sdk(payload), attributes, forced_variations=forced, url=url)


def test_a_mid_sized_payload_equals_the_python_sdk():
    """The payload that the speed is measured on, for forty users."""
    payload = make_payload()
    program, sdk = program_of(payload), Sdk(payload)
    for number in range(40):
        same_results(program, sdk, make_user(number))


@brief
@given(payloads(), typed_users)
def test_one_flag_alone_is_worth_what_it_is_among_all(payload, attributes):
    """Neither the order of evaluation nor the bulk hash changes a result."""
    program, user = program_of(payload), User(attributes)
    whole = program.evaluate_all(user)

    assert {key: program.evaluate(key, user) for key in program.keys} == whole
    assert {key: program.evaluate(key, user) for key in reversed(program.keys)} == whole


def test_bulk_hashes_equal_single_ones_for_many_rules():
    """With enough rules for a batch, of both hash versions and with any seed."""
    features = {
        f"{seed}-{n}-{version}": {
            "rules": [{"variations": ["a", "b"], "seed": seed * n, "hashVersion": version}]
        }
        for seed in ("s", "é", "\U0001f600", "x" * 50)
        for n in range(10)
        for version in (1, 2)
    }
    program = compile_payload(features)
    for number in range(50):
        user = User({"id": f"user-é{number}"})

        assert program.evaluate_all(user) == {key: program.evaluate(key, user) for key in features}


@brief
@given(payloads(), typed_users)
def test_exposures_are_those_of_the_sdk(payload, attributes):
    """Exactly the experiments that the SDK would track, those of prerequisites among them."""
    evaluation = program_of(payload).start(User(attributes))
    for key in payload["features"]:
        evaluation.exposures = []
        evaluation.result(key)
        ours = {(each.experiment["key"], each.result.variation) for each in evaluation.exposures}

        assert ours == Sdk(payload).tracked(key, attributes)


@pytest.mark.parametrize("name", ["a", "b"])
def test_forced_features_win_over_rules_and_count_for_prerequisites(name):
    """An override is what a flag is worth, to the flags that wait for it as well."""
    waits = {"parentConditions": [{"id": "a", "condition": {"value": 7}}], "force": "yes"}
    program = compile_payload({"a": {"defaultValue": 1}, "b": {"rules": [waits]}})
    results = program.evaluate_all(User({}, forced_features={name: 7}))

    assert results[name] == Result(7, Source.OVERRIDE)
    assert results["b"].value == ("yes" if name == "a" else 7)


def test_an_unknown_flag_can_be_forced():
    """As a developer does before the flag is made."""
    program = compile_payload({})

    assert program.evaluate("new", User({}, forced_features={"new": 1})).value == 1
    assert program.evaluate("new", User({})).source is Source.UNKNOWN_FEATURE


@pytest.mark.parametrize(
    ("value", "on"),
    [
        (None, False),
        (0, False),
        ("", False),
        (math.nan, False),
        ([], True),
        ({}, True),
        ("0", True),
    ],
)
def test_on_is_the_truth_of_javascript(value, on):
    """Empty arrays and objects are on."""
    assert evaluate({"defaultValue": value}).on is on
    assert evaluate({"defaultValue": value}).off is not on


@pytest.mark.parametrize("value", [None, False, 0, ""])
def test_a_falsy_value_can_be_forced(value):
    """A rule with the member `force` serves it, whatever it is."""
    result = evaluate({"defaultValue": 1, "rules": [{"force": value, "id": "r"}]})

    assert result == Result(value, Source.FORCE, "r")


@pytest.mark.parametrize(("member", "value"), [("coverage", 0.5), ("range", [0, 0.5])])
def test_the_border_of_a_coverage_is_inside(member, value):
    """As in the browsers' SDK; that of a range is outside, as in every SDK."""
    units = (f"u{n}" for n in range(100_000))
    on_border = next(unit for unit in units if bucket("s", unit, 1) == 0.5)
    feature = {"rules": [{"force": 1, "seed": "s", member: value}]}

    assert evaluate(feature, id=on_border).value == (1 if member == "coverage" else None)


@pytest.mark.parametrize("start", [0.5, 0.501])
def test_the_start_of_a_range_is_inside(start):
    """Of a rule's range, of a filter's and of a namespace's."""
    units = [f"u{n}" for n in range(20_000)]
    on_half = next(unit for unit in units if bucket("s", unit, 1) == 0.5)
    in_name = next(unit for unit in units if bucket("__s", unit, 1) == 0.5)
    filtered = {"filters": [{"seed": "s", "hashVersion": 1, "ranges": [[start, 1]]}]}
    named = {"variations": [1, 1], "namespace": ["s", start, 1]}
    inside = 1 if start == 0.5 else None

    assert (
        evaluate({"rules": [{"force": 1, "seed": "s", "range": [start, 1]}]}, id=on_half).value
        == inside
    )
    assert evaluate({"rules": [{"force": 1, **filtered}]}, id=on_half).value == inside
    assert evaluate({"rules": [named]}, id=in_name).value == inside


@pytest.mark.parametrize("missing", [{}, {"id": None}, {"id": ""}, {"id": 0}, {"id": False}])
def test_without_a_unit_nobody_is_in_a_split(missing):
    """A falsy attribute is none."""
    rules: list[dict[str, Any]] = [
        {"variations": [1, 2]},
        {"force": 3, "coverage": 0.99999},
        {"force": 4, "range": [0, 1]},
        {"force": 5, "filters": [{"seed": "s", "ranges": [[0, 1]]}]},
    ]

    assert evaluate({"defaultValue": 0, "rules": rules}, **missing).value == 0


def test_numbers_are_hashed_as_their_text():
    """A user whose id is sent as a number keeps the variation of the text."""
    feature = {"rules": [{"variations": list(range(50)), "hashVersion": 2}]}
    for number in range(1, 50):
        assert evaluate(feature, id=number).value == evaluate(feature, id=str(number)).value
        assert evaluate(feature, id=number * 1.0).value == evaluate(feature, id=str(number)).value


def test_a_passthrough_variation_exposes_and_leaves_the_value_to_the_next_rule():
    """Which is how a holdout counts those it does not hold out."""
    holdout = {"key": "holdout", "variations": [0, 1], "meta": [{"passthrough": True}] * 2}
    program = compile_payload({"flag": {"rules": [holdout, {"force": "next"}]}})
    evaluation = program.start(User({"id": "u"}))

    assert evaluation.result("flag").value == "next"
    assert [exposure.experiment["key"] for exposure in evaluation.exposures] == ["holdout"]


BANDIT = {
    "features": {
        "flag": {
            "rules": [
                {
                    "contextualVariations": ["a", "b"],
                    "contextualBanditRef": "cb",
                    "weights": [0.5, 0.5],
                }
            ]
        }
    },
    "contextualBandits": {
        "cb": {
            "banditVersion": 3,
            "contexts": [
                {"leafId": 1, "condition": {"country": "US"}, "weights": [0, 1]},
                {"leafId": 2, "condition": {"country": "NZ"}, "weights": [9, 9]},
            ],
        }
    },
}


@pytest.mark.parametrize(
    ("country", "leaf", "weights"),
    [("US", 1, [0, 1]), ("NZ", -1, [0.5, 0.5]), ("DE", -1, [0.5, 0.5])],
)
def test_a_contextual_bandit_gives_the_weights_of_the_users_context(country, leaf, weights):
    """Weights that are no split, and no context at all, leave the rule's own."""
    result = program_of(BANDIT).evaluate("flag", User({"id": "u", "country": country}))
    assert result.experiment_result is not None
    told = result.experiment_result.to_json()

    assert (told["leafId"], told["variationWeights"], told["banditVersion"]) == (leaf, weights, 3)
    assert country != "US" or result.value == "b"


def test_sticky_units_keep_their_variation_when_the_shares_move():
    """And their document is not written again."""
    rule: dict[str, Any] = {"variations": ["a", "b"], "meta": [{"key": "a"}, {"key": "b"}]}
    before = compile_payload({"flag": {"rules": [{**rule, "weights": [1, 0]}]}})
    after = compile_payload({"flag": {"rules": [{**rule, "weights": [0, 1]}]}})
    first = before.start(User({"id": "u"}, sticky={}))
    assert first.result("flag").value == "a"
    assert list(first.changed) == ["id||u"]

    second = after.start(User({"id": "u"}, sticky=first.changed))

    assert second.result("flag").value == "a"
    assert second.changed == {}
    assert after.evaluate("flag", User({"id": "u"})).value == "b"


@pytest.mark.parametrize(
    ("version", "is_in"), [("0", False), ("1", False), ("2", True), ("x", True)]
)
def test_a_unit_of_a_version_that_may_not_go_on_is_left_out(version, is_in):
    """Of every version below the least that may."""
    rule = {"key": "exp", "variations": ["a", "b"], "bucketVersion": 2, "minBucketVersion": 2}
    document = StickyDocument(
        attributeName="id", attributeValue="u", assignments={f"exp__{version}": "1"}
    )
    program = compile_payload({"flag": {"rules": [rule]}})
    result = program.evaluate("flag", User({"id": "u"}, sticky={"id||u": document}))

    assert (result.source is Source.EXPERIMENT) is is_in


def test_cycles_are_named_on_save():
    """With the flags on the circle, not those that merely wait for it."""
    waits = [("a", "b"), ("b", "a"), ("c", "a")]
    features = {key: {"rules": [{"parentConditions": [{"id": parent}]}]} for key, parent in waits}

    assert prerequisite_problem(features) == "Prerequisites go round in a circle: a, b."
    assert program_of({"features": features}).evaluate("c", User({})).source == "cyclicPrerequisite"


def chain(n: int) -> dict[str, Any]:
    features: dict[str, Any] = {"flag-0": {"defaultValue": 1}}
    for at in range(1, n):
        parent = {"id": f"flag-{at - 1}", "condition": {"value": {"$exists": True}}, "gate": True}
        features[f"flag-{at}"] = {"defaultValue": 1, "rules": [{"parentConditions": [parent]}]}
    return features


def test_ten_flags_deep_is_as_deep_as_prerequisites_may_nest():
    """The eleventh waits for ten, the twelfth for eleven."""
    assert prerequisite_problem(chain(11)) is None
    assert prerequisite_problem(chain(12)) == "Prerequisites nest deeper than 10 flags: flag-11."


@pytest.mark.parametrize("n", [51, 5_000])
def test_chains_of_prerequisites_end_without_recursion(n):
    """Fifty deep is evaluated; anything deeper is off, whoever asks first."""
    program = compile_payload(chain(n))

    assert program.evaluate("flag-50", User({})).value == 1
    assert program.evaluate(f"flag-{n - 1}", User({})).value == (1 if n == 51 else None)


def test_a_circle_of_five_thousand_flags_ends_without_recursion():
    """Every flag on it is off."""
    features = chain(5_000)
    features["flag-0"]["rules"] = [{"parentConditions": [{"id": "flag-4999"}]}]
    results = compile_payload(features).evaluate_all(User({}))

    assert {result.source for result in results.values()} == {Source.CYCLIC_PREREQUISITE}


def test_a_flag_many_wait_for_is_evaluated_once():
    """A thousand paths through thirty flags take no time; unshared they would be 2**30."""
    features: dict[str, Any] = {"flag-0": {"defaultValue": 1}}
    for at in range(1, 31):
        parent = {"id": f"flag-{at - 1}", "condition": {"value": 1}}
        features[f"flag-{at}"] = {"rules": [{"parentConditions": [parent, parent], "force": 1}]}
    started = time.perf_counter()

    assert compile_payload(features).evaluate("flag-30", User({})).value == 1
    assert time.perf_counter() - started < 2


BAD_RULES = [
    "no object",
    {},
    {"force": 1, "coverage": "half"},
    {"force": 1, "range": [0]},
    {"force": 1, "filters": {"seed": 1}},
    {"force": 1, "filters": [{"ranges": 5}]},
    {"force": 1, "seed": 5, "coverage": 0.5},
    {"force": 1, "parentConditions": [{"id": 5}]},
    {"variations": "ab"},
    {"variations": [1, 2], "meta": ["x"]},
    {"variations": [1, 2], "namespace": ["n", 0]},
    {"variations": [1, 2], "ranges": [[0, "1"]]},
    {"variations": [1, 2], "minBucketVersion": "x"},
]


@pytest.mark.parametrize("rule", BAD_RULES)
def test_a_broken_rule_is_skipped_and_named(rule):
    """The rules after it still count."""
    program = compile_payload({"flag": {"rules": [rule, {"force": "next"}]}})

    assert program.evaluate("flag", User({"id": "u"})).value == "next"
    assert len(program.problems) == 1
    assert program.problems[0].startswith("flag, rule 1: ")


rule_members = st.sampled_from(
    [
        "id",
        "condition",
        "parentConditions",
        "force",
        "coverage",
        "range",
        "hashAttribute",
        "fallbackAttribute",
        "hashVersion",
        "seed",
        "variations",
        "weights",
        "key",
        "meta",
        "ranges",
        "namespace",
        "filters",
        "name",
        "phase",
        "bucketVersion",
        "minBucketVersion",
        "disableStickyBucketing",
        "contextualVariations",
        "contextualBanditRef",
    ]
)
any_rules = st.dictionaries(rule_members, json_values, max_size=6)
any_features = st.dictionaries(
    st.sampled_from(FLAGS) | st.text(max_size=3),
    json_values
    | st.fixed_dictionaries(
        {"defaultValue": json_values, "rules": json_values | st.lists(any_rules, max_size=3)}
    ),
    max_size=4,
)


@steady
@given(any_features, st.dictionaries(st.text(max_size=3), json_values), json_values, json_values)
def test_no_payload_whatever_raises(features, groups, attributes, value):
    """Any JSON as flags, rules and saved groups, for any JSON as a user; all of it answers."""
    program = compile_payload(features, groups, {"b": value, **groups})
    known = attributes if isinstance(attributes, dict) else {}
    forced = {"flag-0": value, **known}
    for user in (
        User({"id": value, **known}),
        User({"id": "u", **known}, forced, forced, f"https://a.example/?{value}=1", {}),
    ):
        results = program.evaluate_all(user)
        assert all(result.to_json()["on"] is result.on for result in results.values())
        assert isinstance(program.sticky_keys(user.attributes), list)
