"""Forecasts over HTTP: what a plan will do, before it starts."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from rollouts.accounts.model import Role
from rollouts.lifecycle.bodies import Body, KeyPath
from rollouts.lifecycle.forecast import Baseline
from rollouts.results import forecasting
from rollouts.results.forecasting import Asked
from rollouts.web.access import requires
from rollouts.web.context import now, reading, runtime

bp = APIBlueprint(
    "results_api",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Forecasts", description="What a plan will do, before it starts.")],
)


class BaselineBody(Body):
    """How customers are today."""

    mean: float = Field(
        ge=1e-9, le=1e12, description="Per customer; of a ratio, per one of its denominator."
    )
    dispersion: float | None = Field(
        None,
        ge=1e-9,
        le=1e12,
        description="Variance over mean. Counts without it scatter by chance.",
    )
    per_unit: float = Field(
        1.0,
        ge=1e-9,
        le=1e9,
        description="Of a ratio: how many of the denominator a customer brings.",
    )

    def to_domain(self) -> Baseline:
        """The baseline this body describes."""
        return Baseline(self.mean, self.dispersion, self.per_unit)


class ForecastBody(Body):
    """What is known better than the ledger knows it; all may be left out."""

    baselines: dict[str, BaselineBody] = Field(
        default_factory=dict, max_length=400, description="By metric."
    )
    customers_per_day: float | None = Field(
        None, ge=1e-3, le=1e10, description="New and eligible, before any share is taken."
    )
    metrics: list[str] = Field(
        default_factory=list,
        max_length=400,
        description="Guardrails to simulate; empty: the first of the plan.",
    )

    def to_domain(self) -> Asked:
        """The question this body asks."""
        return Asked(
            baselines={key: item.to_domain() for key, item in self.baselines.items()},
            customers_per_day=self.customers_per_day,
            metrics=tuple(self.metrics),
        )


@bp.get("/rollouts/<key>/forecast", summary="Forecast of a plan")
@requires(Role.READER)
def get_forecast(path: KeyPath) -> dict[str, Any]:
    """What the plan will do, by levels and traffic that earlier rollouts measured.

    For every guardrail: the chance to be withdrawn at no harm, at the limit (a false stop) and at
    1.5, 2 and 4 times it, and how many customers see it and what it costs until then, each with
    its Monte-Carlo interval. For every goal: what the plan can show, and how long it takes.
    """
    return _answer(path.key, Asked())


@bp.post("/rollouts/<key>/forecast", summary="Forecast of a plan, with levels of your own")
@requires(Role.READER)
def ask_forecast(path: KeyPath, body: ForecastBody) -> dict[str, Any]:
    """The same with baselines and traffic that you give. Nothing is stored."""
    return _answer(path.key, body.to_domain())


def _answer(key: str, asked: Asked) -> dict[str, Any]:
    with reading() as session:
        prepared = forecasting.prepare(
            session,
            key,
            asked,
            look_seconds=runtime().settings.look_interval_seconds,
            now=now(),
        )
    return forecasting.forecast(prepared)
