"""What is asked of a table of units (`MetricColumn`) and what comes back of it (`Row`)."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from analysis.histogram import Histogram
from analysis.moments import Moments
from analysis.summary import PairSummary, Summary


class Kind(StrEnum):
    """How a metric is defined per unit, and so how it is compared."""

    PROPORTION = "proportion"  # 1 if the unit has any event, else 0
    MEAN = "mean"  # the average of the unit's values
    COUNT = "count"  # how many, zero or more: the unit's values added
    SUM = "sum"  # how much, maybe negative: the unit's values added
    RATIO = "ratio"  # the unit's numerators and denominators, each added
    QUANTILE = "quantile"  # the average of the unit's values; or every event's value
    TIME = "time"  # time until the unit's event, or until it was last watched
    ORDINAL = "ordinal"  # a grade, such as stars
    DISPERSION = "dispersion"  # the average of the unit's values, compared by their spread


MEANS = (Kind.PROPORTION, Kind.MEAN, Kind.COUNT, Kind.SUM)


@dataclass(frozen=True, slots=True)
class MetricColumn:
    """A metric and where it stands in the table.

    column: the value (a ratio's numerator, a time's duration).
    other: a ratio's denominator, or a time's flag: 1 if the event happened, 0 if not yet.
    covariates: columns measured before exposure, for kinds compared by their mean.
    cap, cap_quantile: values above the cap (or above this quantile of all units together; where
        some are negative, also those below its mirror) are moved to it.
    per_event: for a quantile: over all events, not over units.
    Raises ValueError where a kind and its options do not go together.
    """

    name: str
    kind: Kind
    column: str
    other: str | None = None
    covariates: tuple[str, ...] = ()
    cap: float | None = None
    cap_quantile: float | None = None
    per_event: bool = False

    def __post_init__(self) -> None:
        paired = self.kind in (Kind.RATIO, Kind.TIME)
        if paired != (self.other is not None):
            need = "needs a second column" if paired else "has no second column"
            raise ValueError(f"other: a {self.kind} {need}")
        if self.covariates and self.kind not in MEANS:
            raise ValueError(f"covariates: not for a {self.kind}")
        capped = self.cap is not None or self.cap_quantile is not None
        if capped and self.kind not in MEANS[1:]:
            raise ValueError(f"cap: not for a {self.kind}")
        if self.cap_quantile is not None and not 0.5 < self.cap_quantile < 1:
            raise ValueError(f"cap_quantile must lie between 0.5 and 1, not {self.cap_quantile}")
        if self.per_event and self.kind is not Kind.QUANTILE:
            raise ValueError(f"per_event: not for a {self.kind}")

    @property
    def summed(self) -> bool:
        """Whether sums say all that is needed: no distribution has to leave the table."""
        return self.kind in MEANS or self.kind is Kind.RATIO


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Values of events with the unit of each, for a cluster-robust quantile.

    values: shape (n,), rising. units: a number per event that tells units apart, shape (n,).
    """

    values: npt.NDArray[np.float64]
    units: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.values.shape != self.units.shape or self.values.ndim != 1:
            raise ValueError("values and units: one unit per value, in one dimension")
        if not np.isfinite(self.values).all() or not (np.diff(self.values) >= 0).all():
            raise ValueError("values must be finite and rising")


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Watched times with whether each ended in the event.

    durations: shape (n,), 0 or more, in the table's unit of time. happened: shape (n,).
    """

    durations: npt.NDArray[np.float64]
    happened: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.durations.shape != self.happened.shape or self.durations.ndim != 1:
            raise ValueError("durations and happened: one of each per unit, in one dimension")
        if not (np.isfinite(self.durations) & (self.durations >= 0)).all():
            raise ValueError("durations must be finite and not negative")


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One metric of one variation, whole or in one segment.

    segment: (column, value), or None for all units.
    sums: Summary (proportion, mean, count, sum); PairSummary (ratio, or a value with one
        covariate as y); Moments (several covariates); Histogram (quantile per unit, ordinal,
        dispersion); Events (quantile per event); Times (time to event).
    n: units in the sums. n_missing: units left out because they have no usable value.
    n_odd: units with a value that cannot be (infinite; neither 0 nor 1 in a proportion; negative
        in a count or a time), which was left out.
    cap: the upper limit that was applied, if any.
    """

    variation: str
    segment: tuple[str, str] | None
    metric: str
    kind: Kind
    sums: Summary | PairSummary | Moments | Histogram | Events | Times
    n: int
    n_missing: int
    n_odd: int
    cap: float | None = None
