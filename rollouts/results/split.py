"""Whether customers arrived as the plan set it: asked at every look, of small and large faults."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np

from analysis.effect import Undecided
from analysis.srm import NO_UNITS, log_evidence

CONCENTRATIONS = (10.0, 100.0, 1_000.0, 10_000.0)  # from gross faults early to slight ones late


def always_p_value(counts: Sequence[int], shares: Sequence[float]) -> float | Undecided:
    """Chance of such a split, valid however often one looks; for faults of any size.

    One concentration is slow where the fault is of another size: tuned to one per cent, it lets
    70 to 30 pass for the first thousand customers. The mean of several tests' evidence is
    evidence all the same, and costs no more than a factor of their number.

    >>> always_p_value([600, 250], [0.5, 0.5]) < 1e-9
    True
    """
    if sum(counts) == 0:
        return NO_UNITS
    found = [log_evidence(counts, shares, concentration=held) for held in CONCENTRATIONS]
    mean = float(np.logaddexp.reduce(found)) - log(len(found))
    return min(1.0, exp(-max(mean, 0.0)))
