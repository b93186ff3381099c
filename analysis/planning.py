"""A guardrail's plan before it starts: who comes, how they are split, and what can be expected.

Source: this project's recipe for a stop-loss, at expected sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.effect import Undecided
from analysis.populations import Population
from analysis.share import Arms, Share, share
from analysis.stoploss import (
    LEAST_EFFECTIVE,
    LEAST_NON_EVENTS,
    LEAST_PER_ARM,
    Kind,
    tolerated_ratio,
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of the ramp: so many looks, with so many customers in both arms between two.

    share: of those customers, in treatment; in (0, 1).
    """

    looks: int
    units_per_look: int
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.looks < 1 or self.units_per_look < 1:
            raise ValueError("looks and units_per_look must be at least 1")
        if not 0 < self.share < 1:
            raise ValueError(f"share must lie strictly between 0 and 1, not {self.share}")


@dataclass(frozen=True)
class Plan:
    """One guardrail of one treatment, as it would be locked.

    population: of control's customers (see `populations`). sign: +1 where more is worse.
    tolerance: relative. alpha: already divided over guardrails and arms. stages: the ramp.
    kind: as the rollout will be judged; None for a proportion if values are 0 and 1, else other.
    exact: judged by the event-share e-process, which has neither burn-in nor pace.
    """

    population: Population
    sign: int
    tolerance: float
    stages: tuple[Stage, ...]
    alpha: float = 0.05
    kind: Kind | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        tolerated_ratio(self.sign, self.tolerance)
        if not self.stages:
            raise ValueError("stages must hold at least one stage")
        if self.population.mean <= 0:
            raise ValueError("population must have a mean above 0 for a relative tolerance")

    @property
    def judged_as(self) -> Kind:
        if self.kind is not None:
            return self.kind
        is_binary = set(self.population.values) <= {0.0, 1.0}
        return Kind.PROPORTION if is_binary else Kind.OTHER

    @property
    def ratio(self) -> float:
        return tolerated_ratio(self.sign, self.tolerance)

    @property
    def looks(self) -> int:
        return sum(stage.looks for stage in self.stages)


def never_ready(plan: Plan) -> Undecided | None:
    """Why this plan cannot reach a verdict even by its deadline, or None if it can.

    Returns an Undecided, or None.

    >>> from analysis.populations import proportion
    >>> never_ready(Plan(proportion(0.001), 1, 0.2, (Stage(10, 100),))).reason
    'only about 1 of the 20 independent events a verdict needs can be expected by the deadline'
    """
    found = expected_share(plan)
    least = LEAST_PER_ARM[plan.judged_as]
    have = {
        LEAST_EFFECTIVE: (float(found.effective), "independent events a verdict needs"),
        least: (float(found.min_arm), "events that the smaller arm must expect"),
    }
    if plan.judged_as is Kind.PROPORTION:
        have[-LEAST_NON_EVENTS] = (float(found.min_non_events), "customers without the event")
    for needed, (expected, what) in have.items():
        if expected < abs(needed):
            return Undecided(
                f"only about {expected:.0f} of the {abs(needed):.0f} {what} can be expected"
                " by the deadline",
                "a longer plan, more traffic, or a metric that happens more often",
            )
    return None


def expected_share(plan: Plan) -> Share:
    """The statistic's information, burn-in and so on as expected at the deadline, no harm done.

    >>> from analysis.populations import proportion
    >>> plan = Plan(proportion(0.1), 1, 0.2, (Stage(10, 200),))
    >>> round(float(expected_share(plan).min_arm))
    101
    """
    units1 = np.array([stage.looks * stage.units_per_look * stage.share for stage in plan.stages])
    units0 = np.array([float(stage.looks * stage.units_per_look) for stage in plan.stages]) - units1
    mean, variance = plan.population.mean, plan.population.variance
    arms = Arms(
        units0,
        units0 * mean,
        units0 * variance,
        units1,
        units1 * mean,
        units1 * variance,
        units0.sum(),
        units1.sum(),
    )
    return share_of_plan(plan, arms)


def planned_information(plan: Plan) -> float:
    """Information at the deadline, to pace the spending by; see `spending.Spending`.

    >>> from analysis.populations import proportion
    >>> plan = Plan(proportion(0.1), 1, 0.2, (Stage(10, 200),))
    >>> round(planned_information(plan), 1)
    55.0
    """
    return float(expected_share(plan).information)


def share_of_plan(plan: Plan, arms: Arms) -> Share:
    """The plan's statistic on these sums, which may be of many looks at once.

    >>> from analysis.populations import proportion
    >>> one = [np.array([x]) for x in (1000.0, 50.0, 47.5, 1000.0, 90.0, 81.9)]
    >>> arms = Arms(*one, np.array(1000.0), np.array(1000.0))
    >>> plan = Plan(proportion(0.05), 1, 0.1, (Stage(10, 200),))
    >>> round(float(share_of_plan(plan, arms).r), 3)
    2.903
    """
    return share(arms, kind=plan.judged_as, sign=plan.sign, ratio=plan.ratio, safe=False)
