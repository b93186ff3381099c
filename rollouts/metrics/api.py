"""The catalogue of metrics over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from rollouts.accounts.model import Role
from rollouts.metrics import service
from rollouts.metrics.model import (
    Aggregation,
    Definition,
    Direction,
    Filter,
    Operator,
    Selector,
    Statistic,
)
from rollouts.metrics.store import MetricRow, MetricVersionRow
from rollouts.metrics.words import kind, meaning
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, transaction
from rollouts.web.paging import PageQuery, page

bp = APIBlueprint(
    "metrics_api",
    __name__,
    url_prefix="/api/v1/metrics",
    abp_tags=[Tag(name="Metrics", description="What is counted, and which way is good.")],
)

KEY = r"^[a-zA-Z0-9_.:|-]+$"


class FilterBody(BaseModel):
    """A condition on an outcome's property."""

    model_config = ConfigDict(extra="forbid")

    property: str = Field(min_length=1, max_length=200)
    operator: Operator = Operator.IS
    value: str | bool | int | float | list[str | bool | int | float] | None = None

    def to_domain(self) -> Filter:
        """The filter this body describes."""
        return Filter(self.property, self.operator, self.value)


class SelectorBody(BaseModel):
    """Which outcomes are meant."""

    model_config = ConfigDict(extra="forbid")

    event: str = Field(min_length=1, max_length=200, description="Name of the event.")
    filters: list[FilterBody] = Field(default_factory=list, max_length=20)
    channels: list[str] = Field(
        default_factory=list, max_length=50, description="Empty: any channel."
    )
    value_property: str = Field(
        "", max_length=200, description="The property that is added up; empty: the event's value."
    )

    def to_selector(self) -> Selector:
        """The selector this body describes."""
        return Selector(
            self.event,
            tuple(item.to_domain() for item in self.filters),
            tuple(self.channels),
            self.value_property,
        )


class DenominatorBody(SelectorBody):
    """What a ratio is divided by."""

    aggregation: Aggregation = Aggregation.COUNT


class MetricBody(SelectorBody):
    """A metric: events, how they add up per unit, and which way is good."""

    name: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=10_000)
    owner: str = Field("", max_length=200)
    aggregation: Aggregation
    good: Direction = Field(description="`down` where more is worse, as for contacts.")
    numerator_aggregation: Aggregation = Field(
        Aggregation.SUM, description="Of a ratio's upper part: count or sum."
    )
    denominator: DenominatorBody | None = Field(None, description="Only of a ratio.")
    window_seconds: float | None = Field(
        None, gt=0, le=366 * 86_400, description="After first exposure; empty: no end."
    )
    cap: float | None = Field(None, gt=0, description="Most that one unit may count for.")
    harm_unit: str = Field("events", min_length=1, max_length=50)
    statistic: Statistic = Field(
        Statistic.MEAN,
        description="How units are compared: by mean, quantile, spread, grade, top_box, nps, time.",
    )
    quantile: float = Field(0.5, gt=0, lt=1, description="Of `quantile`: 0.9 is the slowest tenth.")
    top_from: float | None = Field(None, description="Of `top_box`: the least good grade.")
    pre_period_seconds: float | None = Field(
        None,
        gt=0,
        le=366 * 86_400,
        description="Before first exposure: what a customer did then makes the comparison sharper. "
        "Empty: none.",
    )
    allow_negative: bool = False
    allow_untrusted: bool = Field(
        False, description="Also count events sent with keys that browsers hold."
    )

    def to_domain(self) -> Definition:
        """The definition this body describes."""
        return Definition(
            numerator=self.to_selector(),
            aggregation=self.aggregation,
            direction=self.good,
            denominator=self.denominator.to_selector() if self.denominator else None,
            denominator_aggregation=self.denominator.aggregation
            if self.denominator
            else Aggregation.COUNT,
            numerator_aggregation=self.numerator_aggregation,
            window=timedelta(seconds=self.window_seconds) if self.window_seconds else None,
            cap=self.cap,
            allow_negative=self.allow_negative,
            allow_untrusted=self.allow_untrusted,
            harm_unit=self.harm_unit,
            statistic=self.statistic,
            quantile=self.quantile,
            top_from=self.top_from,
            pre_period=timedelta(seconds=self.pre_period_seconds)
            if self.pre_period_seconds
            else None,
        )


class NewMetricBody(MetricBody):
    """A metric with the key it gets."""

    key: str = Field(pattern=KEY, max_length=200)


class EditMetricBody(MetricBody):
    """A changed metric, and why."""

    reason: str = Field("", max_length=10_000)


class KeyPath(BaseModel):
    """Which metric."""

    key: str = Field(max_length=200)


@bp.get("", summary="List metrics")
@requires(Role.READER)
def list_all(query: PageQuery) -> dict[str, Any]:
    """The catalogue, by key."""
    with reading() as session:
        rows = service.list_metrics(
            session, after=query.after, limit=query.limit + 1, search=query.search
        )
        pairs = [(row, service.get_version(session, row)) for row in rows]
        return page(pairs, query, lambda pair: pair[0].key, lambda pair: shown(*pair))


@bp.post("", summary="Add a metric")
@requires(Role.EDITOR)
def create(body: NewMetricBody) -> tuple[dict[str, Any], int]:
    """Add a metric to the catalogue."""
    with transaction() as session:
        row = service.create_metric(
            session,
            key=body.key,
            name=body.name,
            description=body.description,
            owner=body.owner or current_actor().name,
            definition=body.to_domain(),
            actor=current_actor(),
            now=now(),
        )
        return shown(row, service.get_version(session, row)), 201


@bp.get("/<key>", summary="One metric")
@requires(Role.READER)
def get_one(path: KeyPath) -> dict[str, Any]:
    """A metric with all the definitions it ever had."""
    with reading() as session:
        row = service.get_metric(session, path.key)
        versions = service.list_versions(session, row)
        earlier = [_version(held) for held in versions]
        return {**shown(row, versions[0]), "versions": earlier}


@bp.put("/<key>", summary="Change a metric")
@requires(Role.EDITOR)
def edit(path: KeyPath, body: EditMetricBody) -> dict[str, Any]:
    """Change a metric; another definition makes a new version, and locked plans keep theirs."""
    with transaction() as session:
        row = service.redefine(
            session,
            path.key,
            name=body.name,
            description=body.description,
            owner=body.owner or current_actor().name,
            definition=body.to_domain(),
            reason=body.reason,
            actor=current_actor(),
            now=now(),
        )
        return shown(row, service.get_version(session, row))


@bp.delete("/<key>", summary="Archive a metric")
@requires(Role.EDITOR)
def archive(path: KeyPath) -> tuple[str, int]:
    """Take a metric off the catalogue; rollouts that count it go on."""
    with transaction() as session:
        service.archive(session, path.key, reason="", actor=current_actor(), now=now())
    return "", 204


def shown(row: MetricRow, version: MetricVersionRow) -> dict[str, Any]:
    """A metric as the API shows it."""
    definition = version.to_domain()
    return {
        "key": row.key,
        "name": row.name,
        "description": row.description,
        "owner": row.owner,
        "version": version.version,
        "kind": kind(definition),
        "meaning": meaning(definition),
        "definition": version.definition,
        "created_at": row.created_at.isoformat(),
        "archived_at": row.archived_at.isoformat() if row.archived_at else None,
    }


def _version(row: MetricVersionRow) -> dict[str, Any]:
    return {
        "version": row.version,
        "meaning": meaning(row.to_domain()),
        "definition": row.definition,
        "reason": row.reason,
        "created_at": row.created_at.isoformat(),
        "created_by": row.created_by,
    }
