import numpy as np
import pytest
from growthbook.core import fnv1a32, gbhash, getBucketRanges
from hypothesis import given
from hypothesis import strategies as st

from rollouts.flags.evaluation.hashing import (
    bucket,
    bucket_ranges,
    bucketer,
    buckets,
    choose,
    fnv,
    fnv_of_decimal,
    in_namespace,
    normal_weights,
)

from .cases import section, without_cases
from .strategies import steady

any_text = st.text(st.characters())  # with lone surrogates
weights = st.lists(st.floats(-0.5, 1.5) | st.just(0.5), max_size=5)


@without_cases
def test_hash_equals_the_published_cases():
    """All fifteen hashes of the cross-SDK cases, the unknown version among them."""
    for seed, value, version, expected in section("hash"):
        assert bucket(seed, value, version) == expected


@without_cases
def test_ranges_equal_the_published_cases():
    """Coverage and weights out of bounds included."""
    for name, (n, coverage, given_weights), expected in section("getBucketRange"):
        ranges = bucket_ranges(n, coverage, given_weights)

        assert np.round(ranges, 6).tolist() == expected, name


@without_cases
def test_choice_equals_the_published_cases():
    """A bucket outside all ranges chooses no variation."""
    for name, n, ranges, expected in section("chooseVariation"):
        assert choose(n, ranges) == expected, name


@without_cases
def test_namespaces_equal_the_published_cases():
    """The old form of mutual exclusion."""
    for name, value, namespace, expected in section("inNamespace"):
        assert in_namespace(value, tuple(namespace)) is expected, name


@without_cases
def test_equal_weights_equal_the_published_cases():
    """No variations have no weights; a negative number of them neither."""
    for n, expected in section("getEqualWeights"):
        assert normal_weights(n, None) == pytest.approx(expected, abs=1e-8)


@steady
@given(any_text, any_text, st.sampled_from([1, 2, 3]))
def test_bucket_equals_the_sdk(seed, value, version):
    """For any text at all, characters beyond the basic plane and lone surrogates included."""
    assert bucket(seed, value, version) == gbhash(seed, value, version)


@steady
@given(any_text, any_text)
def test_hash_continues_from_a_prefix(start, end):
    """A seed's state may be kept and continued, which halves the work of version 2."""
    assert fnv(end, fnv(start)) == fnv1a32(start + end)


@steady
@given(any_text, any_text, st.sampled_from([1, 2, 3]))
def test_settled_seed_changes_nothing(seed, value, version):
    """A rule's own bucketer is the same function."""
    assert bucketer(seed, version)(value) == bucket(seed, value, version)


@steady
@given(st.integers(0, 2**32 - 1) | st.integers(0, 2_000_000) | st.just(10**9))
def test_decimals_are_hashed_as_their_text(number):
    """The table of three digits takes the same steps."""
    assert fnv_of_decimal(number) == fnv1a32(str(number))


@steady
@given(st.integers(1, 5), st.floats(-1, 2), st.none() | weights)
def test_ranges_equal_the_sdk(n, coverage, given_weights):
    """To the last bit, or units at a border would flip between server and client."""
    assert bucket_ranges(n, coverage, given_weights) == getBucketRanges(n, coverage, given_weights)


@steady
@given(any_text, st.lists(any_text, max_size=20), st.sampled_from([1, 2]))
def test_many_buckets_equal_single_ones(seed, values, version):
    """The bulk form is the same function."""
    many = buckets(seed, values, version)

    assert many is not None
    assert many.tolist() == [bucket(seed, value, version) for value in values]


def test_many_buckets_of_an_unknown_version_are_none():
    """As for a single value."""
    assert buckets("seed", ["a"], 3) is None


@pytest.mark.parametrize("version", [1, 2])
def test_buckets_are_uniform(version):
    """A hundred thousand sequential ids fill ten tenths evenly (chi-square, 9 degrees)."""
    many = buckets("seed", [f"user-{i}" for i in range(100_000)], version)

    assert many is not None
    counts = np.histogram(many, bins=10, range=(0, 1))[0]
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 40
