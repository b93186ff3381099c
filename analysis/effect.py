"""What every answer looks like: an `Effect`, or `Undecided` where there is no honest number."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite


class Scale(StrEnum):
    """What an effect is measured in."""

    ABSOLUTE = "absolute"  # treatment minus control, in the metric's own unit
    RELATIVE = "relative"  # treatment over control, minus one: 0.1 is ten per cent more


class Validity(StrEnum):
    """Whether an interval survives being looked at again and again."""

    FIXED = "fixed"  # valid for one look, decided beforehand
    ANYTIME = "anytime"  # valid however often one looks


class Finding(StrEnum):
    """A guardrail's three states; *not yet known* never counts as safe."""

    HARM = "harm"
    SAFE = "safe"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Undecided:
    """There is no honest number yet.

    reason: why, in words that a product manager understands.
    needs: what would settle it (more customers, more days, a baseline, a feed); may be empty.

    >>> bool(Undecided("no customers yet", needs="a first exposure"))
    False
    """

    reason: str
    needs: str = ""

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Effect:
    """The difference between a treatment and its control, with its interval.

    estimate, low, high: in the metric's unit (absolute) or as a share of control (relative).
    level: two-sided confidence level of the interval, in (0, 1).
    p_value: two-sided, against no difference; None where the method gives none.
    n_control, n_treatment: the units counted.
    method, assumptions: what was computed and what it rests on, in words.
    """

    estimate: float
    low: float
    high: float
    scale: Scale
    validity: Validity
    level: float
    n_control: int
    n_treatment: int
    method: str
    p_value: float | None = None
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(isfinite(value) for value in (self.estimate, self.low, self.high)):
            raise ValueError("an effect's estimate and limits must be finite; answer Undecided")
        if not self.low <= self.estimate <= self.high:
            raise ValueError(f"{self.estimate} lies outside its interval {self.low} to {self.high}")
