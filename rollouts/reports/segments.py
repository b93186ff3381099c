"""Effects by segment, as the report shows them: first whether segments differ, never a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollouts.reports import model, words
from rollouts.reports.bars import Axis, Plot
from rollouts.reports.model import Body

MANY = 30  # values of one segment; above it only the worst few are listed
LISTED = 10
ALPHA = 0.05  # of the test whether segments differ, as the results room runs it


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a segment: its effect as measured, and as it looks beside all the others."""

    value: str
    n_old: int
    n_new: int
    old: str
    new: str
    effect: str
    interval: str
    shrunken: str
    p_value: float | None  # corrected for looking at every value
    why_not: str
    plot: Plot | None
    state: str = "plain"  # a segment gets no finding: its limits were not locked


@dataclass(frozen=True, slots=True)
class Table:
    """One metric in one segment."""

    name: str
    note: str
    reading: str
    p_value: float | None  # of the test whether segments differ at all
    cells: tuple[Cell, ...]
    n_values: int
    worst: str = ""  # the worst segment against the limit, with its interval; "" if not asked
    worst_state: str = "unknown"

    @property
    def differs(self) -> bool:
        """Whether the test found a difference between segments."""
        return self.p_value is not None and self.p_value < ALPHA

    @property
    def axis(self) -> Axis:
        """The axis that the bars of this table share."""
        return model.axis_of(self.cells)


@dataclass(frozen=True, slots=True)
class Segment:
    """One attribute that the plan names."""

    attribute: str
    tables: tuple[Table, ...]


def segments_of(body: Body, arm_key: str) -> tuple[Segment, ...]:
    """What the snapshot holds of one new version's segments; none while the split is broken."""
    if body["srm"]["state"] == "broken":
        return ()
    arm = next(item for item in body["arms"] if item["key"] == arm_key)
    metrics = {item["key"]: item for item in arm["metrics"]}
    units = words.unit_words(body["rollout"]["unit"])
    return tuple(
        Segment(
            held["attribute"],
            tuple(
                _table(metrics[item["key"]], item, units)
                for item in held["metrics"]
                if item["key"] in metrics
            ),
        )
        for held in arm.get("segments", ())
    )


def _table(metric: Body, held: Body, units: tuple[str, str]) -> Table:
    tested = held["interaction"]
    pulled = tested["shrunken"]
    listed = _listed(held["values"], pulled, metric["sign"])
    return Table(
        name=metric["name"],
        note="the goal" if metric["role"] == "goal" else "",
        reading=tested["reading"],
        p_value=tested["p_value"],
        cells=tuple(_cell(metric, item, pulled.get(item["value"]), units) for item in listed),
        n_values=len(held["values"]),
        worst=(held.get("worst") or {}).get("text", ""),
        worst_state=(held.get("worst") or {}).get("finding", "unknown"),
    )


def _listed(values: Sequence[Body], pulled: Body, sign: int) -> list[Body]:
    """All values by name; of very many those that look worst once pulled together, by name too."""
    chosen = list(values)
    if len(chosen) > MANY:
        chosen.sort(key=lambda item: _harm(item, pulled, sign), reverse=True)
        chosen = chosen[:LISTED]
    return sorted(chosen, key=lambda item: str(item["value"]))


def _harm(item: Body, pulled: Body, sign: int) -> float:
    held = pulled.get(item["value"])
    return sign * held if held is not None else float("-inf")


def _cell(metric: Body, item: Body, pulled: float | None, units: tuple[str, str]) -> Cell:
    # Earlier releases told segments by their mean, whatever the kind.
    form = metric.get("form") if "levels" in item else None
    levels = item.get("levels")
    here = {
        **metric,
        "form": form,
        "levels": levels,
        **item,
        "limit_scale": "relative",
        "limit": None,
    }
    if not item["relative"]:
        here["limit_scale"] = "absolute"
    held, is_relative = model.shown_effect(here)
    tell = model.teller(here, is_relative)
    old, new, _ = model.rates(here, units)
    undecided = item["undecided"] or {}
    return Cell(
        value=str(item["value"]),
        n_old=item["control"]["n"],
        n_new=item["treatment"]["n"],
        old=old,
        new=new,
        effect=tell(held["estimate"]) if held else "",
        interval=model.interval_text(held, is_relative, tell) if held else "",
        shrunken=_pulled(item, pulled, is_relative, tell) if held else "",
        p_value=item["p_value_corrected"],
        why_not=undecided.get("needs") or undecided.get("reason", ""),
        plot=model.plot_of(here),
    )


def _pulled(item: Body, pulled: float | None, is_relative: bool, tell: model.Teller) -> str:
    """The shrunken difference in the scale of the effect beside it."""
    levels = item.get("levels")
    base = levels["control"] if levels else item["control"]["mean"]
    if pulled is None or (is_relative and not base):
        return ""
    return tell(pulled / base if is_relative else pulled)
