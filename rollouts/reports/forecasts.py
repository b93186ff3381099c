"""The forecast on a plan's page: what a reader may type, the chances drawn, the costs in rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from markupsafe import Markup

from rollouts.db import Database
from rollouts.lifecycle.forecast import Baseline
from rollouts.lifecycle.plan import Draft
from rollouts.metrics.model import Aggregation
from rollouts.reports import chances
from rollouts.reports.past_plan import HistoryRow, history_rows
from rollouts.reports.svg import SIZES, render
from rollouts.results import forecasting
from rollouts.results.forecasting import Asked, Prepared
from rollouts.web import formatting as say

Shown = Mapping[str, Any]
Picture = Mapping[str, Markup]
MOST_PICTURES = 3  # guardrails drawn; the others have their table
KEPT = 64  # pictures in memory
LEAST, MOST = 1e-9, 1e12  # of what may be typed
MOST_FIELDS = 24


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One line of a guardrail's table."""

    change: str
    note: str
    withdrawn: str
    give: str
    customers: str
    cost: str
    is_over_budget: bool


@dataclass(frozen=True, slots=True)
class RailCard:
    """One guardrail: what happens at each true harm."""

    name: str
    arms: str
    unit: str
    is_rise: bool
    rows: tuple[TruthRow, ...]
    picture: Picture
    reason: str
    needs: str
    budget: float | None


@dataclass(frozen=True, slots=True)
class Field:
    """A level a reader may type, with what is known of it."""

    metric: str
    name: str
    mean: str
    dispersion: str
    asks_dispersion: bool
    hint: str
    source: str


@dataclass(frozen=True, slots=True)
class ForecastPage:
    """The section of a plan's page. `body` is None while no guardrail's level is known."""

    body: Shown | None
    cards: tuple[RailCard, ...]
    fields: tuple[Field, ...]
    per_day: str
    is_given: bool
    history: tuple[HistoryRow, ...] = ()

    @property
    def to_settle(self) -> Sequence[str]:
        """What should be settled before locking, once anything is known."""
        return self.body["to_settle"] if self.body is not None else ()


def asked_of(arguments: Mapping[str, str], draft: Draft) -> Asked:
    """What was typed into the form; anything that is no level is left out."""
    given = {}
    for key in dict.fromkeys(draft.metric_keys):
        mean = _level(arguments.get(f"mean.{key}", ""))
        if mean is not None:
            given[key] = Baseline(mean, _level(arguments.get(f"dispersion.{key}", "")))
    return Asked(given, _level(arguments.get("per_day", "")))


def _level(text: str) -> float | None:
    try:
        value = float(text.strip().replace(",", ""))
    except ValueError:
        return None
    return value if isfinite(value) and LEAST <= value <= MOST else None


def get_forecast(
    db: Database,
    key: str,
    draft: Draft,
    arguments: Mapping[str, str],
    *,
    look_seconds: float,
    now: datetime,
) -> ForecastPage:
    """The forecast of a plan, by what is known and what was typed."""
    asked = asked_of(arguments, draft)
    with db.reading() as session:
        prepared = forecasting.prepare(session, key, asked, look_seconds=look_seconds, now=now)
    body = forecasting.forecast(prepared) if prepared.is_possible else None
    return ForecastPage(
        body=body,
        cards=_cards(prepared, body) if body is not None else (),
        fields=_fields(prepared),
        per_day=_typed(prepared.traffic.customers_per_day) if prepared.traffic else "",
        is_given=bool(asked.baselines or asked.customers_per_day),
        history=history_rows(prepared.history, draft),
    )


def _fields(prepared: Prepared) -> tuple[Field, ...]:
    goals = [item.metric for item in prepared.draft.goals]
    keys = list(dict.fromkeys([*prepared.rails, *goals]))[:MOST_FIELDS]
    return tuple(_field(prepared, key) for key in keys)


def _field(prepared: Prepared, key: str) -> Field:
    named, known = prepared.metrics[key], prepared.baselines.get(key)
    return Field(
        metric=key,
        name=named.name,
        mean=_typed(known.mean) if known else "",
        dispersion=_typed(known.dispersion) if known and known.dispersion else "",
        asks_dispersion=named.definition.aggregation is not Aggregation.ANY,
        hint="1" if named.definition.aggregation is Aggregation.COUNT else "",
        source=_source(known) if known else "no rollout yet",
    )


def _source(known: Baseline) -> str:
    if known.units is None:
        return known.source
    return f"measured on {say.count(known.units)} customers, {known.source}"


def _typed(value: float) -> str:
    return f"{value:.4g}"


def _cards(prepared: Prepared, body: Shown) -> tuple[RailCard, ...]:
    return tuple(
        _card(prepared, rail, place, len(body["guardrails"]) > 1)
        for place, rail in enumerate(body["guardrails"])
    )


def _card(prepared: Prepared, rail: Shown, place: int, is_one_of_many: bool) -> RailCard:
    names = {item.key: item.name for item in prepared.draft.variations}
    is_drawn = place < MOST_PICTURES and rail["truths"]
    undecided = rail["undecided"] or {"reason": "", "needs": ""}
    return RailCard(
        name=rail["name"],
        arms=", ".join(names[key] for key in rail["arms"])
        if len(prepared.draft.variations) > 2
        else "",
        unit=rail["harm_unit"],
        is_rise=rail["sign"] > 0,
        rows=tuple(_row(rail, item) for item in rail["truths"]),
        picture=_picture(f"{prepared.fingerprint}/{place}", rail) if is_drawn else {},
        reason=undecided["reason"],
        needs=undecided["needs"],
        budget=rail["budget"],
    )


def _row(rail: Shown, item: Shown) -> TruthRow:
    is_none = item["multiple"] == 0
    return TruthRow(
        change=chances.true_change(item["harm"], rail["sign"]),
        note=_note(rail, item["multiple"]),
        withdrawn=chances.chance(item["stopped"]),
        give=_give(item["stopped"]),
        customers=say.NONE if is_none else _about(item["exposed"]["value"]),
        cost=say.NONE if is_none else _about(item["spent"]["value"]),
        is_over_budget=item["is_over_budget"],
    )


def _give(simulated: Mapping[str, float]) -> str:
    """The simulation's own interval; nothing where the chance itself is told as a bound."""
    if not 0 < simulated["value"] < 1:
        return ""
    return f"{say.figures_of(simulated['low'])} to {say.percent(simulated['high'])}"


def _note(rail: Shown, multiple: float) -> str:
    if multiple == 0:
        return "a false withdrawal"
    if multiple == 1:
        return f"at the limit: a false withdrawal, at most {say.percent(rail['alpha'])}"
    return f"{multiple:g} × the limit"


def _about(value: float) -> str:
    """A simulated amount to three figures: the simulation knows no more."""
    return say.number(value) if value < 1000 else say.count(float(f"{value:.3g}"))


_PICTURES: OrderedDict[str, dict[str, Markup]] = OrderedDict()


def _picture(key: str, rail: Shown) -> Picture:
    held = _PICTURES.get(key)
    if held is None:
        drawn = {size: chances.oc(rail, size) for size in SIZES}
        held = {
            size: Markup(render(item))  # noqa: S704  # ours alone, all text escaped
            for size, item in drawn.items()
            if item is not None
        }
        _PICTURES[key] = held
        while len(_PICTURES) > KEPT:
            _PICTURES.popitem(last=False)
    return held
