"""Hypothesis strategies for flags and users."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

# No deadlines: the machine that tests is shared, and time is measured by the benchmarks.
steady = settings(deadline=None)
brief = settings(deadline=None, max_examples=50)  # for whole payloads, which take long to make

# Attributes with the type every value of theirs has, as a well-kept product has them.
TYPES = {
    "id": "string",
    "company": "string",
    "country": "string",
    "note": "string",
    "age": "number",
    "seats": "number",
    "employee": "boolean",
    "version": "string",
}
COUNTRIES = ["US", "GB", "NZ", "de", "é", "\U0001f600", "￮"]
VERSIONS = ["1.2.3", "v1.10.0", "1.2.3-rc.1", "2.0", "2.0.0+build", "10"]

numbers = st.integers(-20, 20) | st.sampled_from([0.5, 1.0, -2.25, 1e21])
texts = st.sampled_from(COUNTRIES)
units = st.integers(0, 500).map(lambda n: f"u{n}") | st.text(min_size=1, max_size=8)

typed_users = st.fixed_dictionaries(
    {
        "id": units,
        "company": st.integers(0, 50).map(lambda n: f"c{n}"),
        "country": texts,
        "note": st.text(max_size=5).filter(lambda text: not _like_a_number(text)),
        "age": numbers,
        "seats": st.integers(1, 100),
        "employee": st.booleans(),
        "version": st.sampled_from(VERSIONS),
        "tags": st.lists(texts, max_size=4),
        "orders": st.lists(
            st.fixed_dictionaries({"total": numbers, "paid": st.booleans()}), max_size=3
        ),
        "home": st.fixed_dictionaries({"city": texts}),
    }
)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


def _like_a_number(text: str) -> bool:
    return not text.strip() or text.strip()[0] in "+-.0123456789Iin"


def _operators(values: st.SearchStrategy[Any], *names: str) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=2)


def _lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=4)


_ORDER = ("$eq", "$ne", "$lt", "$lte", "$gt", "$gte")
_LISTS = ("$in", "$nin", "$ini", "$nini")

# Tests on which the two SDKs agree for users such as above: no values of mixed types.
text_tests = (
    texts
    | _operators(texts, *_ORDER)
    | _operators(_lists(texts), *_LISTS)
    | _operators(st.sampled_from(["^U", "[A-Z]{2}", "(", "e|S$", "."]), "$regex", "$regexi")
)
number_tests = _operators(numbers, *_ORDER) | _operators(_lists(numbers), *_LISTS)
version_tests = _operators(
    st.sampled_from(VERSIONS), "$veq", "$vne", "$vlt", "$vlte", "$vgt", "$vgte"
)
list_tests = (
    st.fixed_dictionaries({"$size": st.integers(0, 4)})
    | st.fixed_dictionaries({"$size": _operators(st.integers(0, 4), *_ORDER)})
    | _operators(_lists(texts), "$all", "$alli", "$in", "$nin", "$ini")
    | st.fixed_dictionaries({"$elemMatch": _operators(texts, *_ORDER)})
    | _lists(texts)
)
other_tests = _operators(st.booleans(), "$exists") | _operators(
    st.sampled_from(["string", "number", "boolean", "array", "object", "null"]), "$type"
)


def _entry(name: str, tests: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    negated = st.fixed_dictionaries({"$not": tests.filter(lambda test: isinstance(test, dict))})
    either = tests | negated if name != "tags" else tests
    return (either | other_tests).map(lambda test: {name: test})


entries = st.one_of(
    _entry("country", text_tests),
    _entry("home.city", text_tests),
    _entry("tags.0", st.none()),
    _entry("age", number_tests),
    _entry("seats", number_tests),
    _entry("version", version_tests),
    _entry("tags", list_tests),
    st.booleans().map(lambda value: {"employee": value}),
    st.sampled_from(["staff", "missing"]).map(lambda group: {"id": {"$inGroup": group}}),
    st.sampled_from(["staff", "missing"]).map(lambda group: {"id": {"$notInGroup": group}}),
    st.sampled_from(["abroad", "circle", "listed", "missing"]).map(
        lambda group: {"$savedGroup": {"id": group}}
    ),
    _operators(numbers, *_ORDER).map(lambda test: {"orders": {"$elemMatch": {"total": test}}}),
)

agreed_conditions: st.SearchStrategy[dict[str, Any]] = st.recursive(
    entries,
    lambda inner: (
        st.sampled_from(["$or", "$and", "$nor"]).flatmap(
            lambda name: st.lists(inner, max_size=3).map(lambda many: {name: many})
        )
        | inner.map(lambda one: {"$not": one})
        | st.tuples(inner, inner).map(lambda two: {**two[0], **two[1]})
    ),
    max_leaves=6,
)

SAVED_GROUPS: dict[str, Any] = {
    "staff": [f"u{n}" for n in range(0, 500, 7)],
    "listed": {"type": "list", "attributeKey": "country", "values": ["US", "NZ"]},
    "abroad": {"type": "condition", "condition": {"country": {"$nin": ["US"]}}},
    "circle": {"type": "condition", "condition": {"$not": {"$savedGroup": {"id": "circle"}}}},
}


def _optional(
    always: dict[str, st.SearchStrategy[Any]], sometimes: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(always, optional=sometimes)


FLAGS = [f"flag-{n}" for n in range(6)]
values = st.sampled_from([True, False, 0, 1, 2.5, "", "on", ["a"], {"colour": "red"}])
ends = st.integers(0, 100).map(lambda n: n / 100)
ranges = st.tuples(ends, ends).map(lambda pair: sorted(pair))
# Half a bucket beside a border, since the SDKs disagree on the border itself.
coverages = st.sampled_from([0, 1]) | st.integers(0, 99).map(lambda n: n / 100 + 0.00005)
seeds = st.text(max_size=5)
versions = st.sampled_from([1, 2])
filters = st.lists(
    _optional(
        {"seed": seeds, "ranges": st.lists(ranges, max_size=3)},
        {"hashVersion": versions, "attribute": st.sampled_from(["id", "company"])},
    ),
    min_size=1,
    max_size=2,
)
hashing = {
    "hashAttribute": st.sampled_from(["id", "company", "age", "missing"]),
    "hashVersion": versions,
    "seed": seeds,
}
parents = st.lists(
    _optional(
        {
            "id": st.sampled_from([*FLAGS, "no-such-flag"]),
            "condition": st.sampled_from(
                [{"value": {"$exists": True}}, {"value": {"$eq": "on"}}, {}]
            ),
        },
        {"gate": st.booleans()},
    ),
    min_size=1,
    max_size=2,
)
waiting = {"parentConditions": parents}

force_rules = _optional(
    {"force": values},
    {
        "id": st.sampled_from(["fr_1", "fr_2"]),
        "condition": agreed_conditions,
        "coverage": coverages,
        "range": ranges,
        "filters": filters,
        **hashing,
        **waiting,
    },
)


def _experiment(n: int, targeting: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    meta = [
        {"key": f"v{at}", "name": f"Arm {at}", **({"passthrough": True} if at == 2 else {})}
        for at in range(n)
    ]
    return _optional(
        {"variations": st.lists(values, min_size=n, max_size=n)},
        {
            "id": st.just("fr_3"),
            "key": st.sampled_from(["exp-a", "exp-b"]),
            "name": st.just("An experiment"),
            "phase": st.just("1"),
            "coverage": coverages,
            "weights": st.sampled_from([[1 / n] * n, [0.7, 0.3], [0.2, 0.3, 0.5], [0.5, 0.1]]),
            "ranges": st.lists(ranges, min_size=n, max_size=n),
            "meta": st.just(meta),
            "namespace": st.tuples(seeds, ends, ends).map(list),
            "filters": filters,
            **hashing,
            **targeting,
        },
    )


# Python tests a condition before it forces a variation, JavaScript after: so not both at once.
def payloads(*, with_conditions: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Payloads whose flags wait for each other, cycles included."""
    targeting = {**waiting, **({"condition": agreed_conditions} if with_conditions else {})}
    rules = force_rules | st.integers(2, 3).flatmap(lambda n: _experiment(n, targeting))
    feature = _optional({}, {"defaultValue": values, "rules": st.lists(rules, max_size=3)})
    return st.fixed_dictionaries(
        {
            "features": st.dictionaries(st.sampled_from(FLAGS), feature, max_size=6),
            "savedGroups": st.just(SAVED_GROUPS),
        }
    )


# What GrowthBook would not send, or only newer versions of it, and every SDK takes nevertheless.
# Negated, an unknown operator holds in JavaScript and not in Python, so that it is not here.
odd_tests = st.sampled_from(
    [
        {"$near": 1},
        {"$in": "US"},
        {"$nin": None},
        {"$type": "date"},
        {"$elemMatch": {"$near": 1}},
        {"$in": ["US"], "$gone": []},
    ]
)
odd_conditions = st.sampled_from(["country", "tags", "missing"]).flatmap(
    lambda name: (
        odd_tests.map(lambda test: {name: test})
        | odd_tests.map(lambda test: {"$or": [{name: test}, {"age": {"$gt": 3}}]})
    )
)
odd_members: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "condition": odd_conditions,
        "hashVersion": st.sampled_from([0, 3, 17]),
        "enabled": st.just(False),
        "description": st.just("An unknown member"),
        "fallbackAttribute": st.just("company"),
        "disableStickyBucketing": st.booleans(),
        "phase": st.just(3),
        "id": st.just("fr_1"),
    },
)
contextual_rules = st.builds(
    lambda values, ref, more: {
        "key": "cb",
        "contextualVariations": values,
        "contextualBanditRef": ref,
        **more,
    },
    st.lists(values, min_size=2, max_size=2),
    st.sampled_from(["bandit", "no-such-bandit"]),
    st.sampled_from([{}, {"weights": [0.9, 0.1]}, {"meta": [{"key": "ä"}, {"key": "b c"}]}]),
)
gate_rules = parents.map(lambda waited: {"parentConditions": waited})
odd_rules = st.one_of(
    st.tuples(force_rules, odd_members).map(lambda two: {**two[0], **two[1]}),
    st.tuples(_experiment(2, waiting), odd_members).map(lambda two: {**two[0], **two[1]}),
    contextual_rules,
    gate_rules,
)
BANDITS: dict[str, Any] = {
    "bandit": {
        "banditVersion": 2,
        "contexts": [
            {"leafId": 4, "condition": {"country": "US"}, "weights": [0.8, 0.2]},
            {"leafId": 5, "condition": {"$savedGroup": {"id": "abroad"}}, "weights": [0.1, 0.9]},
        ],
    }
}
odd_payloads = st.fixed_dictionaries(
    {
        "features": st.dictionaries(
            st.sampled_from(FLAGS),
            _optional(
                {"rules": st.lists(odd_rules, max_size=3)},
                {"defaultValue": values, "metadata": st.just({"tags": ["a"]})},
            ),
            max_size=6,
        ),
        "savedGroups": st.just(SAVED_GROUPS),
        "contextualBandits": st.just(BANDITS),
    }
)
