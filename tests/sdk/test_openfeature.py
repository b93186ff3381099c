"""OpenFeature's Python provider against the running service, unchanged."""

from __future__ import annotations

import pytest
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, TypeMismatchError

from tests.live import LiveService
from tests.sdk.shop import Shop


@pytest.fixture
def shop(live: LiveService) -> Shop:
    """A shop."""
    return Shop(live)


def provider(shop: Shop, **options: object) -> OFREPProvider:
    """The provider on a new connection."""
    key = shop.connect(**options)["client_key"]
    return OFREPProvider(
        shop.host, headers_factory=lambda: {"Authorization": f"Bearer {key}"}, timeout=10
    )


def test_values_arrive_in_their_type(shop: Shop):
    """It is strict: a float flag must not arrive as a whole number, nor the other way round."""
    values = {"boolean": True, "string": "blue", "number": 3, "json": {"a": [1, 2.5]}}
    for kind, value in values.items():
        body = {"key": f"{shop.flag}-{kind}", "kind": kind, "default": value}
        shop.live.api.post("/flags", body)
    body = {"key": f"{shop.flag}-float", "kind": "number", "default": 1.5}
    arms = [{"key": str(n), "name": "", "value": n, "share": 0.5} for n in (1, 2)]
    body["environments"] = {"production": {"rules": [{"type": "experiment", "variations": arms}]}}
    shop.live.api.post("/flags", body)
    of = provider(shop)
    user = EvaluationContext("u1")

    assert of.resolve_boolean_details(f"{shop.flag}-boolean", False, user).value is True
    assert of.resolve_string_details(f"{shop.flag}-string", "", user).value == "blue"
    assert of.resolve_integer_details(f"{shop.flag}-number", 0, user).value == 3
    assert of.resolve_object_details(f"{shop.flag}-json", {}, user).value == values["json"]
    split = of.resolve_float_details(f"{shop.flag}-float", 0.0, user)
    assert (type(split.value), split.reason) == (float, "SPLIT")
    assert split.variant == str(int(split.value))


def test_what_is_wrong_is_told(shop: Shop):
    """An unknown flag and a value of another type are errors of their own."""
    shop.make_flag()
    of = provider(shop)

    with pytest.raises(FlagNotFoundError):
        of.resolve_boolean_details("nothing", False, EvaluationContext("u1"))
    with pytest.raises(TypeMismatchError):
        of.resolve_string_details(shop.flag, "", EvaluationContext("u1"))


def test_a_user_need_not_be_known(shop: Shop):
    """Without a context, or without a targeting key, rules that need none still decide."""
    shop.make_flag()
    of = provider(shop)
    german = EvaluationContext(attributes={"country": "DE"})

    assert of.resolve_boolean_details(shop.flag, False, None).value is False
    assert of.resolve_boolean_details(shop.flag, False, german).value is True


def test_a_switch_is_seen_by_the_next_evaluation(shop: Shop):
    """The provider keeps nothing."""
    shop.make_flag()
    of = provider(shop)
    german = EvaluationContext("u1", {"country": "DE"})
    assert of.resolve_boolean_details(shop.flag, False, german).value is True

    shop.switch(False)

    assert of.resolve_boolean_details(shop.flag, True, german).value is False


def test_telemetry_is_told_unit_environment_and_version(shop: Shop):
    """In the flag's metadata, under the names that OpenFeature's conventions have for them."""
    shop.make_experiment()
    details = provider(shop).resolve_boolean_details(shop.flag, False, EvaluationContext("u1"))

    assert details.flag_metadata["contextId"] == "u1"
    assert details.flag_metadata["flagSetId"] == "production"
    assert str(details.flag_metadata["version"]).isdecimal()


def test_whoever_keeps_a_variation_keeps_it_here_too(shop: Shop):
    """Where a connection is sticky, a new split does not move those who were divided before."""
    shop.make_experiment()
    sticky, fresh = provider(shop, sticky=True), provider(shop)
    units = [EvaluationContext(f"u{number}") for number in range(20)]

    def values(of: OFREPProvider) -> list[bool]:
        return [of.resolve_boolean_details(shop.flag, False, unit).value for unit in units]

    before = values(sticky)
    rule = {
        "key": f"{shop.flag}-test",
        "variations": [False, True],
        "weights": [0, 1],
        "meta": [{"key": "0"}, {"key": "1"}],
    }
    payload = {"features": {shop.flag: {"defaultValue": False, "rules": [rule]}}}
    shop.live.api.post("/environments/production/import/growthbook?on_conflict=replace", payload)

    assert set(before) == {False, True}
    assert values(fresh) == [True] * 20
    assert values(sticky) == before
