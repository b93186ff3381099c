import time
from typing import Any

import pytest
from growthbook.core import evalCondition
from hypothesis import given
from hypothesis import strategies as st

from rollouts.flags.evaluation.conditions import Conditions
from rollouts.flags.evaluation.disagreements import sdk_disagreements
from rollouts.flags.evaluation.limits import attributes_problem, condition_problem
from rollouts.flags.evaluation.patterns import pattern_problem
from rollouts.flags.evaluation.values import number_of, number_text, padded_version

from .cases import section, without_cases
from .strategies import SAVED_GROUPS, TYPES, agreed_conditions, json_values, steady, typed_users


def holds(condition: Any, attributes: Any, groups: Any = None) -> bool:
    return Conditions(groups).compile(condition)(attributes)


@without_cases
def test_conditions_equal_the_published_cases():
    """All 235, with the five on which the JavaScript and the Python SDK disagree."""
    cases = section("evalCondition")
    failed = [
        name
        for name, condition, attributes, expected, *groups in cases
        if holds(condition, attributes, *groups) is not expected
    ]

    assert len(cases) == 235
    assert failed == []


@without_cases
def test_disagreements_of_the_published_cases_are_told():
    """Each of the five would be warned about on save."""
    names = {
        "$notRegex - pass",
        "$notRegexi - pass",
        "missing attribute with comparison operators",
        "comparing numbers and strings",
        "comparing numbers and strings - v2",
    }
    conditions = [case[1] for case in section("evalCondition") if case[0] in names]

    assert len(conditions) == 5
    assert all(sdk_disagreements(condition) for condition in conditions)


@steady
@given(agreed_conditions, typed_users)
def test_conditions_equal_the_python_sdk(condition, attributes):
    """Wherever the SDKs agree, which is where attributes are there and of one type."""
    ours = holds(condition, attributes, SAVED_GROUPS)

    assert ours is evalCondition(attributes, condition, SAVED_GROUPS)


@steady
@given(agreed_conditions, typed_users)
def test_negation_turns_every_answer_round(condition, attributes):
    """A condition is two-valued: `$not` leaves nobody out on both sides."""
    plain = holds(condition, attributes, SAVED_GROUPS)

    assert holds({"$not": condition}, attributes, SAVED_GROUPS) is not plain
    assert holds({"$nor": [condition]}, attributes, SAVED_GROUPS) is not plain


@pytest.mark.parametrize(
    ("condition", "attributes", "expected"),
    [
        ({"n": "8"}, {"n": 8}, True),
        ({"n": 8}, {"n": "8"}, True),
        ({"n": 0}, {}, True),
        ({"n": True}, {"n": "yes"}, True),
        ({"n": "null"}, {}, True),
        ({"n": "1,2"}, {"n": [1, 2]}, True),
        ({"n": {}}, {"n": {}}, True),
        ({"n": {}}, {"n": 1}, False),
        ({"n": {"$eq": 5}}, {"n": "5"}, False),
        ({"n": {"$eq": 1}}, {"n": True}, False),
        ({"n": {"$in": [1]}}, {"n": True}, False),
        ({"n": {"$gt": 5}}, {"n": "0x10"}, True),
        ({"n": {"$lt": "￮"}}, {"n": "\U0001f600"}, True),
        ({"o": {"a": 1, "b": 2}}, {"o": {"b": 2, "a": 1}}, False),
        ({"o": {"a": 1, "2": 2}}, {"o": {"2": 2, "a": 1}}, True),
        ({"t.length": 2}, {"t": [1, 2]}, True),
        ({"t.1": "x"}, {"t": ["a", "x"]}, True),
        ({"t": {"$all": ["1", 2]}}, {"t": [1, "2"]}, True),
        ({"t": {"$elemMatch": {"$or": [{"a": 1}]}}}, {"t": [{"a": 1}]}, False),
        ({"$not": {"n": {"$unknown": 1}}}, {"n": 1}, True),
        ({"n": {"$nin": "US"}}, {"n": "DE"}, False),
        ({"n": {"$vgt": "0.9"}}, {"n": 1}, True),
    ],
)
def test_values_convert_as_in_javascript(condition, attributes, expected):
    """The browsers' SDK is the measure, where it is odd as well."""
    assert holds(condition, attributes) is expected


@pytest.mark.parametrize(
    "condition",
    [None, [], "x", {"$or": {}}, {"$and": [1]}, {"$not": 5}, {"a": {"$elemMatch": 5}}],
)
def test_malformed_conditions_match_nobody(condition):
    """Negated they match nobody either."""
    assert holds(condition, {"a": [1]}) is False
    assert holds({"$not": condition}, {"a": [1]}) is False


def test_too_deep_and_too_large_conditions_are_refused_and_match_nobody():
    """The limits are exact: 20 levels and 1,000 nodes pass."""
    deep: dict[str, Any] = {"a": 1}
    for _ in range(19):
        deep = {"$not": deep}
    wide = {"$or": [{"a": 1}] * 498}

    assert condition_problem(deep) is None
    assert condition_problem({"$not": deep}) == "A condition may nest at most 20 levels."
    assert condition_problem(wide) is None
    assert (
        condition_problem({"$or": [{"a": 1}] * 499}) == "A condition may have at most 1,000 nodes."
    )
    assert holds(wide, {"a": 1}) is True
    assert holds({"$or": [{"a": 1}] * 499}, {"a": 1}) is False


def test_nesting_a_hundred_thousand_levels_deep_is_refused():
    """Not with a RecursionError, in conditions and in attributes alike."""
    deep: Any = 1
    for _ in range(100_000):
        deep = {"a": deep}

    assert holds(deep, deep) is False
    assert holds({"a": {"b": 1}}, deep) is False
    assert holds({"a": "x"}, {"a": _nested_list(100_000)}) is False
    assert attributes_problem(deep) == "Attributes may hold at most 10,000 values."
    assert attributes_problem({"a": _nested_list(100)}) == "Attributes may nest at most 32 levels."


def _nested_list(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("reference", "country", "expected"),
    [
        ({"id": "listed"}, "US", True),
        ({"id": "listed"}, "GB", False),
        ({"id": "listed", "attributeKey": "note"}, "GB", True),
        ({"id": "listed", "attributeKey": 5}, "US", False),
        ({"id": "abroad"}, "GB", True),
        ({"id": "abroad", "attributeKey": "note"}, "GB", True),
        ({"id": "circle"}, "US", True),  # inside itself it matches nobody, and it says $not
        ({"id": "staff"}, "US", False),  # a bare list is no group of this kind
        ({"id": "missing"}, "US", False),
        ({"id": 5}, "US", False),
        ("listed", "US", False),
    ],
)
def test_references_to_saved_groups(reference, country, expected):
    """Anything unrecognised matches nobody, so that its negation is the risk."""
    attributes = {"id": "u0", "country": country, "note": "US"}

    assert holds({"$savedGroup": reference}, attributes, SAVED_GROUPS) is expected
    assert evalCondition(attributes, {"$savedGroup": reference}, SAVED_GROUPS) is expected


def test_saved_groups_that_double_at_every_step_match_nobody():
    """A group of two references to a group of two references costs no more than it may."""
    groups = {
        f"g{level}": {
            "type": "condition",
            "condition": {"$or": [{"$savedGroup": {"id": f"g{level + 1}"}}] * 8},
        }
        for level in range(9)
    }
    groups["g9"] = {"type": "condition", "condition": {"a": 1}}
    started = time.perf_counter()

    assert holds({"$savedGroup": {"id": "g0"}}, {"a": 1}, groups) is False
    assert holds({"$savedGroup": {"id": "g7"}}, {"a": 1}, groups) is True
    assert time.perf_counter() - started < 5


def test_a_thousand_saved_groups_in_a_row_match_nobody():
    """Not with a RecursionError."""
    groups = {
        f"g{level}": {"type": "condition", "condition": {"$savedGroup": {"id": f"g{level + 1}"}}}
        for level in range(1_000)
    }

    assert holds({"$savedGroup": {"id": "g0"}}, {}, groups) is False


def test_a_long_list_of_members_is_one_node():
    """Saved groups written into a rule may have any number of members."""
    condition = {"id": {"$in": [f"u{n}" for n in range(50_000)]}}

    assert condition_problem(condition) is None
    assert holds(condition, {"id": "u49999"}) is True


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"^\d+$", "12", True),
        (r"a\/b", "a/b", True),
        (r"\u0041", "A", True),
        (r"\\u0041", "A", False),
        (r"(?<year>\d{4})", "2026", True),
        (r"é", "caf\u00e9", True),
        (r".", "\ud800", True),
    ],
)
def test_patterns_run_as_in_javascript(pattern, text, expected):
    """Escapes of four digits too, which RE2 spells otherwise; half a pair of surrogates passes."""
    assert pattern_problem(pattern) is None
    assert holds({"a": {"$regex": pattern}}, {"a": text}) is expected
    assert holds({"a": {"$notRegex": pattern}}, {"a": text}) is not expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=a)", "Look-around"),
        ("(?<!a)b", "Look-around"),
        (r"(a)\1", "Back-references"),
        ("(", "invalid"),
        ("x" * 501, "500 characters"),
        ("((a{100}){100}){100}", "invalid"),
        ("\ud800", "surrogate"),
    ],
)
def test_patterns_that_cannot_run_are_refused_with_the_reason(pattern, reason):
    """And match nobody, negated or not."""
    assert reason in str(pattern_problem(pattern))
    assert holds({"a": {"$regex": pattern}}, {"a": "ab"}) is False
    assert holds({"a": {"$notRegex": pattern}}, {"a": "ab"}) is False


def test_catastrophic_patterns_take_no_time():
    """The classic that backtracks for years, on the longest subject that is searched."""
    started = time.perf_counter()
    for pattern in ("(a+)+$", "(a|aa)+$", "(.*a){20}", "(x+x+)+y"):
        holds({"a": {"$regex": pattern}}, {"a": "a" * 9_999 + "!"})
        holds({"a": {"$regexi": pattern}}, {"a": "x" * 10_000})

    assert time.perf_counter() - started < 5


def test_subjects_beyond_the_limit_match_nobody():
    """They are not searched at all."""
    assert holds({"a": {"$regex": "a"}}, {"a": "a" * 10_000}) is True
    assert holds({"a": {"$regex": "a"}}, {"a": "a" * 10_001}) is False
    assert holds({"a": {"$notRegex": "b"}}, {"a": "é" * 5_001}) is False


@steady
@given(json_values, json_values)
def test_no_condition_whatever_raises(condition, attributes):
    """Any JSON as a condition, of any JSON as attributes, with the SDKs' disagreements told."""
    assert holds(condition, attributes) in (True, False)
    assert holds({"a": condition}, {"a": attributes}) in (True, False)
    assert isinstance(sdk_disagreements({"a": condition}), list)


operator_names = st.sampled_from(
    [
        "$eq",
        "$ne",
        "$lt",
        "$lte",
        "$gt",
        "$gte",
        "$veq",
        "$vne",
        "$vlt",
        "$vgt",
        "$in",
        "$nin",
        "$ini",
        "$nini",
        "$all",
        "$alli",
        "$size",
        "$not",
        "$elemMatch",
        "$exists",
        "$type",
        "$regex",
        "$regexi",
        "$notRegex",
        "$inGroup",
        "$notInGroup",
        "$or",
        "$and",
        "$nor",
        "$savedGroup",
        "$other",
    ]
)


@steady
@given(operator_names, operator_names, json_values, json_values, json_values)
def test_no_operator_raises_whatever_it_is_given(outer, inner, operand, value, groups):
    """Every operator, alone and inside another, on any operand, value and saved groups."""
    members = {"g": groups} | (groups if isinstance(groups, dict) else {})
    for test in ({outer: operand}, {outer: {inner: operand}}, {outer: [{inner: operand}]}):
        assert holds({"a": test}, {"a": value}, members) in (True, False)
        assert holds(test, {"a": value}, members) in (True, False)
        assert isinstance(sdk_disagreements({"a": test}), list)
        assert isinstance(sdk_disagreements(test), list)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (1e21, "1e+21"),
        (123456789012345680000, "123456789012345680000"),
        (1.5e-7, "1.5e-7"),
        (-0.0, "0"),
        (2**53 + 1, "9007199254740992"),
        (10**400, "Infinity"),
        (float("nan"), "NaN"),
        (5e-324, "5e-324"),
    ],
)
def test_numbers_are_written_as_in_javascript(number, text):
    """The text of a number is what is hashed, so it decides the variation."""
    assert number_text(number) == text


@steady
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_written_numbers_read_back(number):
    """No digit is lost on the way."""
    assert number_of(number_text(number)) == number


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.2.9", "1.2.10"), ("1.0.0-rc.1", "1.0.0"), ("v1.9", "2"), ("1.0.0-a", "1.0.0-b")],
)
def test_versions_order_as_versions_do(older, newer):
    """By number part by part, and a candidate before its release."""
    assert padded_version(older) < padded_version(newer)
    assert holds({"v": {"$vlt": newer, "$vne": newer}}, {"v": older}) is True


def test_a_build_or_a_leading_v_makes_no_other_version():
    """As in semantic versioning."""
    assert padded_version("v1.2.3+build.7") == padded_version("1.2.3")


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ({"age": {"$lt": 10}}, "without the attribute"),
        ({"age": {"$gt": 10}}, "between numbers and texts"),
        ({"version": {"$vlt": "2"}}, "without the attribute"),
        ({"version": {"$vne": "0"}}, "Python, not in JavaScript"),
        ({"zip": "123"}, "convert"),
        ({"age": 0}, "equal to 0"),
        ({"age": {}}, "empty object"),
        ({"agent": {"$notRegex": "x"}}, "unknown to JavaScript"),
        ({"agent": {"$regex": "."}}, "the text null"),
        ({"agent": {"$regex": "(?P<a>x)"}}, "Python's syntax"),
        ({"agent": {"$regex": "(?<a>x)"}}, "JavaScript's syntax"),
        ({"agent": {"$regex": "(?=x)"}}, "cannot run on the server"),
        ({"tags": {"$elemMatch": {"$or": [{"a": 1}]}}}, "$elemMatch"),
        ({"$or": [{"age": {"$nope": 1}}]}, "no operator"),
        ({"force": None}, "forced null"),
        ({"force": 1, "coverage": 0.5}, "border"),
        ({"force": 1, "coverage": 0.5, "fallbackAttribute": "device"}, "fallback"),
        ({"variations": [0, 1], "condition": {"a": "b"}, "bucketVersion": 1}, "sticky"),
        ({"variations": [0, 1], "filters": [], "namespace": ["n", 0, 1]}, "namespace"),
        ({"force": 1, "parentConditions": [{"id": "p", "condition": {"value": "1"}}]}, "convert"),
    ],
)
def test_disagreements_are_told_in_plain_words(rule, part):
    """One case of each warning there is."""
    assert any(part in warning for warning in sdk_disagreements(rule))


@pytest.mark.parametrize(
    "rule",
    [
        {"country": "US"},
        {"age": {"$gt": 18}},
        {"employee": True},
        {"version": {"$vgte": "2.0.0"}},
        {"id": {"$inGroup": "staff"}},
        {"force": True, "range": [0, 0.5], "condition": {"country": {"$in": ["US"]}}},
    ],
)
def test_no_warning_where_the_sdks_agree(rule):
    """With the attributes' types declared, ordinary rules are silent."""
    assert sdk_disagreements(rule, TYPES) == []


@steady
@given(agreed_conditions, typed_users)
def test_every_difference_from_the_python_sdk_is_warned_about(condition, attributes):
    """Drop any attribute: if the answers then differ, a warning said so."""
    partial = {name: attributes[name] for name in list(attributes)[::2]}
    ours = holds(condition, partial, SAVED_GROUPS)

    if ours is not evalCondition(partial, condition, SAVED_GROUPS):
        assert sdk_disagreements(condition)
