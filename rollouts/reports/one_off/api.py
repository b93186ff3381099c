"""A table and a question over HTTP: what `rollouts analyze --json` prints, nothing stored."""

from __future__ import annotations

from typing import Any, Literal

from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from rollouts.accounts.model import Role
from rollouts.errors import Fault, Invalid
from rollouts.reports.one_off.sent import answer_text, as_csv
from rollouts.web.access import requires

bp = APIBlueprint(
    "analyses_api",
    __name__,
    url_prefix="/api/v1/analyses",
    abp_tags=[Tag(name="Analyses", description="Effects in a table that you already have.")],
)
MOST_ROWS = 50_000


class AnalysisBody(BaseModel):
    """A table, as CSV text or as rows, and what is asked of it. Options as `rollouts analyze`."""

    model_config = ConfigDict(extra="forbid")

    csv: str | None = Field(None, description="The table as CSV text with a header line.")
    rows: list[dict[str, str | int | float | bool | None]] | None = Field(
        None, max_length=MOST_ROWS, description="The table as rows of names and values instead."
    )
    name: str = Field("sent", max_length=200, description="What the report calls the table.")
    unit: str | None = Field(None, max_length=200, description="Column that names the customer.")
    variation: str | None = Field(None, max_length=200, description="Column of the variation.")
    control: str | None = Field(None, max_length=200, description="The old variation.")
    metrics: list[str] = Field(
        min_length=1, description="COLUMN[:KIND], such as spend:sum,cap=p99 or days:time/churned."
    )
    segments: list[str] = Field([], description="Columns to compare within.")
    shares: dict[str, float] | None = Field(None, description="Configured share by variation.")
    level: float | None = Field(None, description="Confidence of the intervals; 0.95 if left out.")
    alpha: float | None = Field(None, description="One-sided risk of a wrong decision.")
    power: float | None = Field(None, description="Power of what the table could show; 0.8.")
    covariates: list[str] = Field([], description="Columns from before exposure to adjust by.")
    strata: list[str] = Field([], description="Columns from before exposure to compare within.")
    before_exposure: bool = Field(False, description="Declares that these were fixed before it.")
    limits: list[str] = Field([], description="METRIC=+5%: worsening tolerated.")
    goals: list[str] = Field([], description="METRIC=up or METRIC=down: which way is good.")
    watched: list[str] = Field([], description="As goals, for what must not become worse.")
    correction: Literal["holm", "bh", "none"] = "holm"
    design: Literal[
        "randomised", "cluster", "switchback", "differences", "synthetic", "interrupted"
    ] = "randomised"
    time: str | None = Field(None, max_length=200, description="Column of times.")
    every: Literal["hour", "day", "week", "month"] | None = None
    group: str | None = Field(None, max_length=200, description="Column of groups.")
    treated: list[str] = Field([], max_length=5_000, description="Groups that got the change.")
    start: str | None = Field(None, max_length=200, description="First period with the change.")
    season: int | None = Field(None, ge=0, le=1_000, description="Periods per cycle; 0 for none.")
    empty_is_zero: bool = Field(False, description="Periods without rows are zero, not unknown.")
    inference: Literal["cr2", "wild"] = "cr2"

    def table(self) -> str:
        """The table as CSV text. Raises Invalid unless it came in exactly one way."""
        if (self.csv is None) == (self.rows is None):
            problem = "give the table either as csv or as rows"
            raise Invalid(f"csv: {problem}.", faults=(Fault("csv", problem),))
        return self.csv if self.csv is not None else as_csv(self.rows or [])

    def options(self) -> dict[str, Any]:
        """The options as the command line has them."""
        held = self.model_dump(exclude={"csv", "rows", "name", "shares"})
        shares = self.shares and ",".join(
            f"{name}={share!r}" for name, share in self.shares.items()
        )
        return {**held, "shares": shares or None}


@bp.post("", summary="Analyse a table")
@requires(Role.READER)
def analyse(body: AnalysisBody) -> dict[str, Any]:
    """Effects, checks and findings of one table, as `rollouts analyze --json`. Nothing is stored."""
    return answer_text(body.options(), text=body.table(), name=body.name)
