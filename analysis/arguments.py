"""Checks of arguments shared by the methods: each raises a ValueError that names the culprit."""

from collections.abc import Iterable, Sized
from datetime import timedelta
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_LARGEST = 1e60  # beyond it squares of squares overflow; no customer ever spent so much


def open_share(name: str, value: float) -> float:
    """The value, which must lie strictly between 0 and 1. Raises ValueError naming it.

    name: of the argument, for the message.

    >>> open_share("alpha", 0.05)
    0.05
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, not {value}")
    return float(value)


def finite(name: str, value: float) -> float:
    """The value, neither missing nor infinite nor beyond 1e60. Raises ValueError naming it.

    name: of the argument, for the message.

    >>> finite("margin", 2)
    2.0
    """
    if not abs(value) <= _LARGEST:
        raise ValueError(f"{name} must be a finite number, not {value}")
    return float(value)


def finite_array(name: str, values: ArrayLike, n_axes: int = 1) -> Floats:
    """The values as floats with `n_axes` axes, each as `finite` asks. Raises ValueError.

    >>> finite_array("outcomes", [1, 2]).shape
    (2,)
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != n_axes:
        raise ValueError(f"{name} must have {n_axes} axes, not {array.ndim}")
    if not (np.abs(array) <= _LARGEST).all():
        raise ValueError(f"{name} must be finite numbers: some are missing or infinite")
    return array


def counts(name: str, values: Iterable[int], at_least: int = 0) -> list[int]:
    """The values as whole numbers of 0 or more, `at_least` of them. Raises ValueError.

    name: of the argument, for the message.

    >>> counts("exposed", [10, 12], at_least=2)
    [10, 12]
    """
    held = list(values)
    if len(held) < at_least:
        raise ValueError(f"{name} needs at least {at_least} values, not {len(held)}")
    if not all(isinstance(value, Integral) and value >= 0 for value in held):
        raise ValueError(f"{name} must be whole numbers of 0 or more, not {held}")
    return [int(value) for value in held]


def same_length(**sequences: Sized) -> int:
    """The one length the named sequences share. Raises ValueError with each length.

    >>> same_length(asked=[1, 2], answered=[1, 1])
    2
    """
    lengths = {name: len(sequence) for name, sequence in sequences.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"not of one length: {lengths}")
    return next(iter(lengths.values()))


def positive(name: str, value: timedelta) -> timedelta:
    """The duration, of 0 or more. Raises ValueError naming it.

    name, value: of the argument.

    >>> positive("lag", timedelta(hours=1)).seconds
    3600
    """
    if value < timedelta(0):
        raise ValueError(f"{name} must not be negative, but is {value}")
    return value


def is_sound(*sums: float) -> bool:
    """Whether the sums are numbers that can be squared.

    >>> is_sound(1.0, float("nan"))
    False
    """
    return all(abs(value) <= _LARGEST for value in sums)
