"""Whether customers arrived as set within each stage, day and segment: what a whole can hide.

A version that loses customers on one channel, or lost them on one day, may still look even in
all. Each group is judged by the shares that the plan set, corrected for looking at all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from analysis.effect import Undecided
from analysis.quality import Check, State
from analysis.srm import Split, by_group, stages_p_value
from rollouts.results.split import always_p_value
from rollouts.results.work import Measuring
from rollouts.words import count, percent

FALSE_ALARM = 0.001  # of each kind of group, over all its groups and looks
NAMED = 3  # groups in one line; more are counted
START = datetime(1970, 1, 1, tzinfo=UTC)

Groups = Mapping[str, Split]


def split_checks(
    work: Measuring,
    units: Mapping[tuple[int, int], int],
    by_day: Mapping[tuple[int, int], int],
    arms: Sequence[Mapping[str, Any]],
) -> dict[str, Check]:
    """A check for each kind of group of which there are several.

    units: by (variation, stratum). by_day: by (variation, day since 1970). arms: of a look's
    body, with their segments.
    """
    kinds = {
        "stages": ("stages", "in", _stages(work, units)),
        "days": ("days", "on", _named(work, by_day, _day)),
    }
    for attribute in work.draft.segments:
        kinds[f"segment:{attribute}"] = (attribute, "in", _segments(work, attribute, arms))
    return {
        f"split:{key}": _check(f"SRM by {name}", at, groups)
        for key, (name, at, groups) in kinds.items()
        if len(groups) > 1
    }


def broken_in(checks: Mapping[str, Check]) -> list[str]:
    """What the guard says of kinds of groups that are broken, as parts of sentences."""
    return [
        check.reason
        for key, check in checks.items()
        if key.startswith("split:") and check.state is State.BROKEN
    ]


def _check(name: str, at: str, groups: Groups) -> Check:
    """Broken by what may be asked at every look; a warning by what holds for one look.

    at: in or on, as a sentence has it before a group's name.
    """
    always = _always(groups)
    if not always:
        return Check(
            name, State.UNKNOWN, "too few customers in each to tell", needs="more customers"
        )
    broken = [group for group, p in always.items() if p < FALSE_ALARM]
    if broken:
        reason = f"customers did not arrive as set {at} {_listed(groups, broken)}"
        return Check(name, State.BROKEN, reason, min(always.values()))
    once = {group: p for group, p in by_group(groups).items() if isinstance(p, float)}
    odd = [group for group, p in once.items() if p < FALSE_ALARM]
    together = stages_p_value(list(groups.values()))
    if odd or (isinstance(together, float) and together < FALSE_ALARM):
        where = f"{at} {_listed(groups, odd)}" if odd else "over all of them together"
        p_value = min([*once.values(), *([together] if isinstance(together, float) else [])])
        reason = f"the split looks uneven {where} at this look, though not beyond doubt"
        return Check(name, State.WARNING, reason, p_value)
    reason = f"customers arrived as set in each of {len(groups)}"
    return Check(name, State.FINE, reason, min(always.values()))


def _always(groups: Groups) -> dict[str, float]:
    """P-values valid at every look, for groups that may go on to be joined by others.

    The k-th group to come is given 1 / (k (k + 1)) of the level, and those sum to 1 however many
    come; which came when is not kept, so each pays as the last one does.
    """
    price = len(groups) * (len(groups) + 1)
    found = {name: always_p_value(held.counts, held.shares) for name, held in groups.items()}
    return {name: min(1.0, p * price) for name, p in found.items() if not isinstance(p, Undecided)}


def _listed(groups: Groups, names: Sequence[str]) -> str:
    """ "phone (30 % and 70 % of 1,200)", the most uneven first."""
    worst = sorted(names, key=lambda name: -_gap(groups[name]))
    told = [_told(name, groups[name]) for name in worst[:NAMED]]
    left = len(names) - len(told)
    return ", ".join(told) + (f" and {count(left)} more" if left else "")


def _told(name: str, held: Split) -> str:
    total = sum(held.counts)
    parts = " to ".join(percent(n / total) for n in held.counts)
    return f"{name} ({parts} of {count(total)})"


def _gap(held: Split) -> float:
    total = sum(held.counts)
    return max(abs(n / total - s) for n, s in zip(held.counts, held.shares, strict=True))


def _stages(work: Measuring, units: Mapping[tuple[int, int], int]) -> Groups:
    def name(stratum: int) -> str:
        share = work.shares_by_stratum.get(stratum)
        at = f" at {percent(share)}" if share is not None else ""
        return f"stretch {stratum + 1} of the ramp{at}"

    return _named(work, units, name)


def _day(number: int) -> str:
    day = START + timedelta(days=number)
    return f"{day.day} {day:%B %Y}"


def _named(work: Measuring, units: Mapping[tuple[int, int], int], name: Any) -> Groups:
    numbers = sorted({number for _, number in units})
    places = range(len(work.draft.variations))
    held = ((name(n), [units.get((place, n), 0) for place in places]) for n in numbers)
    return dict(_splits(work, held))


def _segments(work: Measuring, attribute: str, arms: Sequence[Mapping[str, Any]]) -> Groups:
    """Customers of each value, from the first metric: every metric counts all of them."""
    found: dict[str, list[int]] = {}
    places = [item.key for item in work.draft.variations]
    for arm in arms:
        for item in _values(arm, attribute):
            counts = found.setdefault(item["value"], [0] * len(places))
            counts[work.control] = item["control"]["n"]
            counts[places.index(arm["key"])] = item["treatment"]["n"]
    return dict(_splits(work, found.items()))


def _values(arm: Mapping[str, Any], attribute: str) -> Iterator[Mapping[str, Any]]:
    for segment in arm["segments"]:
        if segment["attribute"] == attribute and segment["metrics"]:
            yield from segment["metrics"][0]["values"]


def _splits(work: Measuring, held: Iterable[tuple[str, list[int]]]) -> Iterator[tuple[str, Split]]:
    shares = [item.share for item in work.draft.variations]
    set_to = tuple(share / sum(shares) for share in shares)
    for name, counts in held:
        if sum(counts):
            yield name, Split(tuple(counts), set_to)
