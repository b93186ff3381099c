"""One value hashed under all the seeds of a payload in a few vector steps."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from rollouts.flags.evaluation.evaluation import Evaluation
from rollouts.flags.evaluation.hashing import (
    PRIME,
    Words,
    bucketer,
    fnv,
    fold_decimals,
    utf16_units,
)
from rollouts.flags.evaluation.members import hash_text

Hash = Callable[[Evaluation], float | None]

WORTH_A_BATCH: Final = 24  # fewer hashes are done sooner one by one


class Batch:
    """The buckets of a value under many seeds, each of hash version 1 or 2."""

    def __init__(self, splits: Sequence[tuple[str, int]]) -> None:
        self._size = len(splits)
        self._second = np.array([at for at, (_, version) in enumerate(splits) if version == 2], int)
        self._starts = np.array([fnv(splits[at][0]) for at in self._second], dtype=np.uint32)
        self._first = np.array([at for at, (_, version) in enumerate(splits) if version == 1], int)
        tails = [utf16_units(splits[at][0]) for at in self._first]
        self._powers = np.array([pow(PRIME, len(tail), 2**32) for tail in tails], dtype=np.uint32)
        self._added = np.array([_added(tail) for tail in tails], dtype=np.uint32).reshape(-1, 256)

    def buckets(self, value: str) -> list[float]:
        """The buckets in the order of the splits."""
        units = utf16_units(value)
        found = np.empty(self._size)
        if len(self._second):
            found[self._second] = fold_decimals(_folded(self._starts, units)) % 10_000 / 10_000
        if len(self._first):
            found[self._first] = self._after(fnv(value)) % 1_000 / 1_000
        out: list[float] = found.tolist()
        return out

    def _after(self, state: int) -> Words:
        """The state of a value, continued with each seed."""
        return np.uint32(state) * self._powers + self._added[:, state & 255]


def _folded(states: Words, units: Iterable[int]) -> Words:
    states = states.copy()
    for unit in units:
        np.bitwise_xor(states, unit, out=states)
        np.multiply(states, PRIME, out=states)
    return states


def _added(tail: Sequence[int]) -> Words:
    """What a seed adds to a state times a power of the prime, by the state's low byte.

    Xor with units up to 255 changes the low byte alone, and each low byte depends on the one
    before alone, so 256 entries tell all.
    """
    low = np.arange(256, dtype=np.uint32)
    return _folded(low, tail) - low * np.uint32(pow(PRIME, len(tail), 2**32))


def _fits(seed: str, version: int) -> bool:
    return version == 2 or (version == 1 and all(unit < 256 for unit in utf16_units(seed)))


class Hashes:
    """All the hashes that the rules of one payload take, by the attribute they are taken of."""

    def __init__(self) -> None:
        self._slots: dict[str, dict[tuple[str, int], int]] = {}
        self._batches: dict[str, Batch] = {}

    def hash(self, attribute: str, seed: str, version: int) -> Hash:
        """A rule's hash of a user; None without the attribute or with an unknown version."""
        alone = bucketer(seed, version)
        slots = self._slots.setdefault(attribute, {})
        fits = _fits(seed, version)
        slot = slots.setdefault((seed, version), len(slots)) if fits else -1

        def find(evaluation: Evaluation) -> float | None:
            row = evaluation.buckets.get(attribute)
            if row is not None and slot >= 0:
                return row[slot]
            value = hash_text(evaluation.attributes.get(attribute))
            return alone(value) if value else None

        return find

    def close(self) -> None:
        """Prepares the batches, once all rules are compiled."""
        self._batches = {
            attribute: Batch(list(slots))
            for attribute, slots in self._slots.items()
            if len(slots) >= WORTH_A_BATCH
        }

    def of_user(self, attributes: Mapping[str, object]) -> dict[str, list[float]]:
        """The buckets of a user by attribute, for those attributes that are hashed often."""
        values = {name: hash_text(attributes.get(name)) for name in self._batches}
        return {name: self._batches[name].buckets(value) for name, value in values.items() if value}
