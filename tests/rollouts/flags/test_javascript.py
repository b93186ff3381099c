"""The browsers' SDK is the measure of every evaluation: the same answers for any data at all."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.flags.evaluation.operators import PLAIN_OPERATORS
from rollouts.flags.evaluation.program import compile_payload
from rollouts.flags.evaluation.results import User
from tests.conftest import must_run

from .strategies import FLAGS, SAVED_GROUPS, payloads, steady, typed_users

pytestmark = pytest.mark.node
PACKAGE = "@growthbook/growthbook@1.8.0"
Evaluate = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluate]:
    """The SDK in one long-lived process: a line in, a line out."""
    modules = _installed(tmp_path_factory.mktemp("javascript"))
    script = Path(__file__).with_name("javascript_sdk.cjs")
    with subprocess.Popen(
        ["node", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NODE_PATH": str(modules)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        source, sink = process.stdout, process.stdin

        def evaluate(request: dict[str, Any]) -> dict[str, Any]:
            sink.write(json.dumps(request) + "\n")
            sink.flush()
            answer: dict[str, Any] = json.loads(source.readline())
            return answer

        yield evaluate
        sink.close()


def _installed(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        _absent("node and npm are not here")
    done = subprocess.run(
        [str(npm), "install", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE],
        capture_output=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        _absent(f"npm could not install {PACKAGE}")
    return folder / "node_modules"


def _absent(reason: str) -> None:
    if must_run("node"):
        pytest.fail(reason)
    pytest.skip(reason)


texts = st.sampled_from(
    [
        r"0",
        r"1",
        r"a",
        r"A",
        r"null",
        r"true",
        r"0x10",
        r"1e3",
        r"-1",
        r"Infinity",
        r"v1.2.3",
        r"1.2.3-rc",
        r"1,2",
        r"[object",
        r"é",
    ]
) | st.sampled_from(["", " 1 ", "[object Object]", "\U0001f600", "\uffee", "\ud800"])
numbers = st.integers(-3, 3) | st.sampled_from([0.5, 1e21, 1e-7, 123456789012345680000])
# Values of all types where a condition expects one, since people send what they like.
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "2", "1", "length"]), inner, max_size=3)
    ),
    max_leaves=4,
)
plain_operators = st.sampled_from([*PLAIN_OPERATORS, "$all", "$alli", "$size", "$unknown"]).filter(
    lambda name: "egex" not in name  # patterns run on another engine here
)
groups = st.sampled_from([*SAVED_GROUPS, "missing"])


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        values
        | st.dictionaries(plain_operators, values, min_size=1, max_size=2)
        | st.dictionaries(st.sampled_from(["$not", "$size"]), inner, min_size=1, max_size=1)
        | inner.map(lambda test: {"$elemMatch": test if isinstance(test, dict) else {"a": test}})
        | st.lists(inner, max_size=2).map(lambda tests: {"$all": tests})
        | st.dictionaries(st.sampled_from(["$inGroup", "$notInGroup"]), groups, min_size=1)
    )


tests = st.recursive(st.dictionaries(plain_operators, values, min_size=1), _nested, max_leaves=4)
entries = st.dictionaries(
    st.sampled_from(["a", "b", "a.b", "a.0", "b.length", "x"]), tests, min_size=1, max_size=2
) | groups.map(lambda group: {"$savedGroup": {"id": group}})
any_conditions: st.SearchStrategy[dict[str, Any]] = st.recursive(
    entries,
    lambda inner: (
        st.dictionaries(
            st.sampled_from(["$or", "$and", "$nor"]), st.lists(inner, max_size=3), min_size=1
        )
        | inner.map(lambda one: {"$not": one})
    ),
    max_leaves=5,
)
# An array whose text is empty is a unit in JavaScript; here it is a missing one.
odd_units = values.filter(lambda value: not isinstance(value, list))


@steady
@given(any_conditions, st.dictionaries(st.sampled_from(["a", "b"]), values))
def test_conditions_equal_the_javascript_sdk(javascript, condition, attributes):
    """Whatever types meet in them."""
    rule = {"condition": condition, "force": True}
    same_as_javascript(
        javascript,
        {"features": {"f": {"defaultValue": False, "rules": [rule]}}, "savedGroups": SAVED_GROUPS},
        attributes,
    )


@steady
@given(
    payloads(),
    typed_users,
    odd_units,
    st.dictionaries(st.sampled_from(["exp-a", *FLAGS]), st.integers(-1, 3), max_size=3),
    st.sampled_from(
        ["", "exp-a=1#x", "exp-a=1abc&exp-b=0x1", "a?exp-a=1", "exp-b=1=2&exp-b=0"]
    ).map("https://shop.example/?{}".format),
)
def test_flags_equal_the_javascript_sdk(javascript, payload, attributes, unit, forced, url):
    """With conditions, forced variations and odd units together; exposures as well."""
    same_as_javascript(javascript, payload, {**attributes, "id": unit}, forced, url)


def same_as_javascript(
    javascript: Evaluate,
    payload: dict[str, Any],
    attributes: dict[str, Any],
    forced: dict[str, Any] | None = None,
    url: str = "",
) -> None:
    request = {**payload, "attributes": attributes, "forcedVariations": forced or {}, "url": url}
    expected = javascript(request)
    program = compile_payload(payload["features"], payload["savedGroups"])
    evaluation = program.start_all(User(attributes, forced or {}, url=url))
    for key in program.keys:
        evaluation.exposures = []
        result = evaluation.result(key).to_json()
        result["tracked"] = _tracked(evaluation.exposures)
        assert _shown(result) == _shown(expected[key]), key


def _tracked(exposures: list[Any]) -> list[list[Any]]:
    told = [(each.experiment["key"], each.result.variation) for each in exposures]
    return [list(pair) for pair in dict.fromkeys(told)]


def _shown(result: dict[str, Any]) -> dict[str, Any]:
    """What both tell, with numbers as JSON has them."""
    names = ("value", "source", "on", "ruleId", "experimentResult", "tracked")
    shown: dict[str, Any] = json.loads(json.dumps({name: result.get(name) for name in names}))
    return shown
