"""Hypothesis strategies for flags and users."""

from typing import Any

from hypothesis import strategies as st

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
