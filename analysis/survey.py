"""Surveys: who answered, and what the silent could change at most.

Those who answer are not those who were asked. The difference among answers is shown only
beside bounds that hold whatever the silent would have said.

Sources: beside each method; Pearson (1900) and Fisher (1935) for who answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose, sqrt

from scipy import optimize, stats

from analysis.arguments import counts, finite, open_share, same_length
from analysis.effect import Effect, Undecided
from analysis.histogram import Histogram
from analysis.inputs import unusable
from analysis.ordinal import mann_whitney
from analysis.quality import Check, State, judged
from analysis.summary import Summary

_FISHER_BELOW = 1_000_000


def survey_response(
    asked: Sequence[int],
    answered: Sequence[int],
    *,
    alpha: float = 0.01,
) -> Check:
    """Whether the variations differ in how many answered.

    asked, answered: units by variation, shape (k,), k >= 2. alpha: false alarms, in (0, 1).

    Pearson's chi-square without continuity correction; Fisher's exact test for two variations
    with fewer than 5 expected in a cell. A difference is a warning: the answers then come from
    different people, and only the bounds are fair. Raises ValueError for counts that do not fit.

    >>> survey_response([1000, 1000], [300, 220]).state
    <State.WARNING: 'warning'>
    """
    sent, held = counts("asked", asked, 2), counts("answered", answered, 2)
    same_length(asked=sent, answered=held)
    check = judged(
        "survey response",
        _response_p_value(sent, held),
        alpha=alpha,
        broken=f"the shares who answered differ ({_shares(sent, held)}): compare the bounds instead",
        fine=f"the shares who answered are alike ({_shares(sent, held)})",
    )
    if check.state is State.BROKEN:
        return Check(check.name, State.WARNING, check.reason, check.p_value)
    return check


def _response_p_value(sent: list[int], held: list[int]) -> float | Undecided:
    silent = [a - b for a, b in zip(sent, held, strict=True)]
    if min(silent) < 0:
        raise ValueError(f"answered {held} exceeds asked {sent}")
    if min(sent) == 0:
        return Undecided("a variation has not been asked at all", needs="sent surveys")
    if not sum(held) or not sum(silent):
        return 1.0
    expected = stats.contingency.expected_freq([held, silent])
    if expected.min() >= 5:
        return float(stats.chi2_contingency([held, silent], correction=False).pvalue)
    if len(sent) > 2:
        return Undecided("too few answers to compare the variations", needs="more answers")
    return _exact_p_value(sent, held, silent)


def _exact_p_value(sent: list[int], held: list[int], silent: list[int]) -> float:
    """Fisher's test; among millions of customers its binomial limit, at a 500th of the cost."""
    total = sum(sent)
    if total <= _FISHER_BELOW:
        return float(stats.fisher_exact([held, silent]).pvalue)
    column = held if sum(held) <= sum(silent) else silent
    arm = 0 if sent[0] <= sent[1] else 1
    draws, pool = sorted((sum(column), sent[arm]))
    return float(stats.binomtest(column[arm], draws, pool / total).pvalue)


def _shares(sent: list[int], held: list[int]) -> str:
    return " and ".join(
        f"{b / a:.1%}" if a else "none asked" for a, b in zip(sent, held, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the difference among all who were asked can be, treatment minus control.

    low, high: worst and best case over every possible answer of the silent, in score points.
    outer_low, outer_high: an interval that covers the true difference with chance `level`.
    among_answers: the difference among those who answered, which trusts them to be typical.
    tipping_point: mean score the silent treated would need to undo `among_answers`, if the
    silent controls resemble those who answered; None when no score on the scale would.
    """

    low: float
    high: float
    outer_low: float
    outer_high: float
    level: float
    among_answers: float
    tipping_point: float | None
    n_control: int
    n_treatment: int
    method: str = "Manski's bounds with Imbens and Manski's interval"


def survey_bounds(
    control: Summary,
    treatment: Summary,
    *,
    asked: tuple[int, int],
    scale: tuple[float, float],
    level: float = 0.95,
) -> Bounds | Undecided:
    """Worst and best case of a survey's effect, whatever the silent would have said.

    control, treatment: sums of the answers, in score points. asked: units asked, control first.
    scale: lowest and highest possible score. level: of the outer interval, in (0, 1).

    Raises ValueError if answers exceed the asked or leave the scale. Sources: Horowitz &
    Manski (2000), JASA 95:77-84; Imbens & Manski (2004), Econometrica 72:1845-1857.
    Undecided with broken sums or below two asked in a variation.

    >>> c, t = Summary.of([4, 5, 3, 4]), Summary.of([5, 4, 5, 5])
    >>> b = survey_bounds(c, t, asked=(5, 5), scale=(1, 5))
    >>> round(b.low, 2), round(b.high, 2)
    (-0.2, 1.4)
    """
    open_share("level", level)
    refusal = unusable(control, treatment, least=1)
    if refusal is not None:
        return refusal
    low, high = finite("scale", scale[0]), finite("scale", scale[1])
    if low >= high:
        raise ValueError(f"scale must rise from lowest to highest score, not {scale}")
    for arm, sent in zip((control, treatment), asked, strict=True):
        _check_answers(arm, sent, low, high)
    if min(asked) < 2:
        return Undecided("only one customer of a variation was asked", needs="more surveys")
    worst = _difference(_filled(control, asked[0], high), _filled(treatment, asked[1], low))
    best = _difference(_filled(control, asked[0], low), _filled(treatment, asked[1], high))
    reach = _imbens_manski(best[0] - worst[0], max(worst[1], best[1]), level)
    return Bounds(
        low=worst[0],
        high=best[0],
        outer_low=max(worst[0] - reach * worst[1], low - high),
        outer_high=min(best[0] + reach * best[1], high - low),
        level=level,
        among_answers=treatment.mean - control.mean,
        tipping_point=_tipping_point(control, treatment, asked[1], low, high),
        n_control=asked[0],
        n_treatment=asked[1],
    )


def graded_bounds(
    control: Histogram,
    treatment: Histogram,
    *,
    asked: tuple[int, int],
    scale: tuple[float, float],
    level: float = 0.95,
) -> Bounds | Undecided:
    """The same for the chance to be graded higher, as `analysis.ordinal.mann_whitney` has it.

    control, treatment: answers by grade. Other arguments and refusals as `survey_bounds`. The outer
    interval is that of the worst case's lower and the best case's upper limit, so it covers with at
    least this level. Source: Horowitz & Manski (2000), JASA 95:77-84.

    >>> b = graded_bounds(
    ...     Histogram.of([3, 4]), Histogram.of([4, 5]), asked=(3, 3), scale=(1, 5)
    ... )
    >>> round(b.low, 3), round(b.among_answers, 3), round(b.high, 3)
    (-0.111, 0.75, 0.889)
    """
    open_share("level", level)
    low, high = finite("scale", scale[0]), finite("scale", scale[1])
    if low >= high:
        raise ValueError(f"scale must rise from lowest to highest score, not {scale}")
    for arm, sent in zip((control, treatment), asked, strict=True):
        _check_answers(arm.summary, sent, low, high)
    if not control.n or not treatment.n:
        return Undecided("nobody of a version has answered yet", needs="answers from both")
    among = mann_whitney(control, treatment, level=level)
    worst, best = (
        mann_whitney(_silent(control, asked[0], a), _silent(treatment, asked[1], b), level=level)
        for a, b in ((high, low), (low, high))
    )
    for found in (among, worst, best):
        if isinstance(found, Undecided):
            return found
    assert isinstance(among, Effect)
    assert isinstance(worst, Effect)
    assert isinstance(best, Effect)
    return Bounds(
        low=worst.estimate,
        high=best.estimate,
        outer_low=worst.low,
        outer_high=best.high,
        level=level,
        among_answers=among.estimate,
        tipping_point=None,
        n_control=asked[0],
        n_treatment=asked[1],
        method="Manski's bounds with the limits of either case",
    )


def _silent(arm: Histogram, sent: int, score: float) -> Histogram:
    return arm + Histogram.counted([(score, sent - arm.n)])


def _check_answers(arm: Summary, sent: int, low: float, high: float) -> None:
    if arm.n > sent:
        raise ValueError(f"asked is {sent}, fewer than the {arm.n} who answered")
    slack = 1e-9 * max(abs(low), abs(high))
    if arm.n and not low - slack <= arm.mean <= high + slack:
        raise ValueError(f"scale is {low} to {high}, but a mean answer is {arm.mean}")


def _filled(arm: Summary, sent: int, score: float) -> Summary:
    """The arm if every silent unit had given this score."""
    silent = sent - arm.n
    return arm + Summary(silent, silent * score, silent * score * score)


def _difference(control: Summary, treatment: Summary) -> tuple[float, float]:
    """Difference of means and its standard error."""
    variance = control.variance / control.n + treatment.variance / treatment.n
    return treatment.mean - control.mean, sqrt(variance)


def _imbens_manski(width: float, error: float, level: float) -> float:
    """Standard errors to add to each end, so that the true value is covered."""
    two_sided = float(stats.norm.isf((1 - level) / 2))
    if error == 0 or isclose(width, 0, abs_tol=1e-12):
        return two_sided

    def excess(reach: float) -> float:
        return float(stats.norm.cdf(reach + width / error) - stats.norm.cdf(-reach)) - level

    one_sided = float(stats.norm.isf(1 - level))
    # Far apart ends need the one-sided value, touching ones the two-sided value.
    return float(optimize.brentq(excess, one_sided - 1e-9, two_sided + 1e-9))


def _tipping_point(
    control: Summary, treatment: Summary, asked: int, low: float, high: float
) -> float | None:
    silent = asked - treatment.n
    if not silent:
        return None
    score = (control.mean * asked - treatment.total) / silent
    return score if low <= score <= high else None
