"""Which bucket a unit falls into, as every GrowthBook SDK computes it.

FNV-1a with 32 bits over UTF-16 code units, each xor-ed whole, because the browsers' SDK
walks `charCodeAt`; a loop over UTF-8 bytes agrees with it on ASCII only.
"""

import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

OFFSET = 0x811C9DC5
PRIME = 0x01000193
MASK = 0xFFFFFFFF

_NATIVE_UTF16 = "utf-16-le" if sys.byteorder == "little" else "utf-16-be"
_PRIME_CUBED = pow(PRIME, 3, 2**32)

Range = tuple[float, float]
Words = NDArray[np.uint32]
Bucketer = Callable[[str], float | None]


def fnv(text: str, state: int = OFFSET) -> int:
    """The hash of a text, continued from the state a text before it left.

    >>> fnv("ab") == fnv("b", fnv("a"))
    True
    """
    for unit in utf16_units(text):
        state = ((state ^ unit) * PRIME) & MASK
    return state


def utf16_units(text: str) -> Sequence[int]:
    """Code units, lone surrogates included, since attributes come from JavaScript strings."""
    if text.isascii():
        return text.encode()
    return memoryview(text.encode(_NATIVE_UTF16, "surrogatepass")).cast("H")


def _three_digits() -> "array[int]":
    """What folding three decimal digits adds, by the state's low byte and by the digits.

    Xor touches the low byte only, and the next low byte depends on this one alone. So three
    steps are `state * PRIME**3` plus a number that 256 * 1,000 entries can hold.
    """
    low = np.arange(256, dtype=np.uint32)[:, None]
    digits = np.arange(1_000, dtype=np.uint32)[None, :]
    state = np.broadcast_to(low, (256, 1_000))
    for power in (100, 10, 1):
        state = (state ^ (digits // np.uint32(power) % 10 + np.uint32(ord("0")))) * np.uint32(PRIME)
    added = state - low * np.uint32(_PRIME_CUBED)
    return array("I", added.astype(np.uint32).tobytes())


_ADDED = _three_digits()
_HEADS = array("I", [fnv(str(number)) for number in range(2**32 // 10**6 + 1)])
_ADDED_WORDS = np.frombuffer(_ADDED, dtype=np.uint32)
_HEAD_WORDS = np.frombuffer(_HEADS, dtype=np.uint32)


def fnv_of_decimal(number: int) -> int:
    """`fnv(str(number))` of a number below 2**32, in three steps in place of ten."""
    head, rest = divmod(number, 1_000_000)
    if not head:
        return fnv(str(number))
    middle, tail = divmod(rest, 1_000)
    state = _HEADS[head]
    state = (state * _PRIME_CUBED + _ADDED[(state & 255) * 1_000 + middle]) & MASK
    return (state * _PRIME_CUBED + _ADDED[(state & 255) * 1_000 + tail]) & MASK


def bucket(seed: str, value: str, version: int) -> float | None:
    """The bucket in [0, 1) of a value under a seed; None for an unknown hash version.

    Version 1 has 1,000 buckets and is biased across seeds; version 2 has 10,000 and hashes twice.

    >>> bucket("", "a", 1), bucket("seed", "a", 2), bucket("abc", "def", 99)
    (0.22, 0.0505, None)
    """
    if version == 2:
        return fnv_of_decimal(fnv(value, fnv(seed))) % 10_000 / 10_000
    if version == 1:
        return fnv(seed, fnv(value)) % 1_000 / 1_000
    return None


def bucketer(seed: str, version: int) -> Bucketer:
    """`bucket` with seed and version settled, for a rule that many users meet."""
    if version != 2:
        return lambda value: bucket(seed, value, version)
    start = fnv(seed)

    def second_version(value: str) -> float:
        state = start
        for unit in utf16_units(value):
            state = ((state ^ unit) * PRIME) & MASK
        return fnv_of_decimal(state) % 10_000 / 10_000

    return second_version


def bucket_ranges(
    n_variations: int, coverage: float = 1.0, weights: Sequence[float] | None = None
) -> list[Range]:
    """The half-open range of buckets of each variation.

    Coverage shrinks every range from its right end, so raising it moves nobody between
    variations. Weights that are no split of 1 are replaced by equal ones.

    >>> bucket_ranges(2, 0.5)
    [(0.0, 0.25), (0.5, 0.75)]
    """
    share = min(max(coverage, 0.0), 1.0)
    ranges, start = [], 0.0
    for weight in normal_weights(n_variations, weights):
        ranges.append((start, start + share * weight))
        start += weight
    return ranges


def normal_weights(n_variations: int, weights: Sequence[float] | None) -> list[float]:
    """The weights that bucketing uses: those given if they are a split of about 1, else equal."""
    if weights is not None and is_split(weights, n_variations):
        return list(weights)
    return [1 / n_variations] * n_variations if n_variations > 0 else []


def is_split(weights: Sequence[float], n_variations: int) -> bool:
    """Whether there is one finite share of at least 0 per variation, summing to about 1."""
    if len(weights) != n_variations or not all(is_number(w) and w >= 0 for w in weights):
        return False
    return 0.99 <= sum(map(float, weights)) <= 1.01


def is_number(value: object) -> bool:
    """Whether a value read from JSON is a number that a double can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return isfinite(value)
    except OverflowError:
        return False


def choose(n: float, ranges: Iterable[Range]) -> int:
    """The variation whose range holds the bucket, or -1.

    >>> choose(0.5, [(0, 0.5), (0.5, 1)]), choose(0.4, [(0, 0.25), (0.5, 0.75)])
    (1, -1)
    """
    for index, (start, end) in enumerate(ranges):
        if start <= n < end:
            return index
    return -1


def in_namespace(value: str, namespace: tuple[str, float, float]) -> bool:
    """Whether a unit lies in its part of a namespace, the old form of mutual exclusion."""
    name, start, end = namespace
    n = bucket("__" + name, value, 1)
    return n is not None and start <= n < end


def buckets(seed: str, values: Sequence[str], version: int) -> NDArray[np.float64] | None:
    """`bucket` of many values at once, shape (len(values),); None for an unknown version."""
    if version not in (1, 2):
        return None
    units, lengths = _unit_matrix(values)
    start = OFFSET if version == 1 else fnv(seed)
    states = _fold(units, lengths, np.full(len(values), start, dtype=np.uint32))
    if version == 2:
        return np.asarray(fold_decimals(states) % 10_000 / 10_000, dtype=np.float64)
    for unit in utf16_units(seed):
        states = (states ^ np.uint32(unit)) * np.uint32(PRIME)
    return np.asarray(states % 1_000 / 1_000, dtype=np.float64)


def _unit_matrix(values: Sequence[str]) -> tuple[NDArray[np.uint16], NDArray[np.intp]]:
    """Code units, one value a row, padded on the right, shape (n, longest), and the lengths."""
    encoded = [value.encode(_NATIVE_UTF16, "surrogatepass") for value in values]
    lengths = np.array([len(text) // 2 for text in encoded], dtype=np.intp)
    width = int(lengths.max(initial=0))
    padded = b"".join(text.ljust(2 * width, b"\0") for text in encoded)
    return np.frombuffer(padded, dtype=np.uint16).reshape(len(values), width), lengths


def _fold(units: NDArray[np.uint16], lengths: NDArray[np.intp], states: Words) -> Words:
    """Each row's units folded into its state; uint32 wraps around as the hash wants."""
    shortest = int(lengths.min(initial=units.shape[1]))
    for column in range(units.shape[1]):
        folded = (states ^ units[:, column]) * np.uint32(PRIME)
        states = folded if column < shortest else np.where(column < lengths, folded, states)
    return states


def fold_decimals(numbers: Words) -> Words:
    """`fnv_of_decimal` of many numbers, shape (n,)."""
    heads, rest = np.divmod(numbers, np.uint32(1_000_000))
    middle, tail = np.divmod(rest, np.uint32(1_000))
    states = _HEAD_WORDS[heads]
    for digits in (middle, tail):
        states = states * np.uint32(_PRIME_CUBED) + _ADDED_WORDS[(states & 255) * 1_000 + digits]
    if not heads.all():  # one in four thousand has fewer digits
        for at in np.flatnonzero(heads == 0):
            states[at] = fnv_of_decimal(int(numbers[at]))
    return states
