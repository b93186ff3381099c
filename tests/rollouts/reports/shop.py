"""A store with the story in it, and a small app around the pages: what the tests here stand on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from flask import Flask, Response, g
from sqlalchemy import func, select

from rollouts.accounts.model import Actor, ActorKind, Role
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.flags import service as flags
from rollouts.flags.model import Flag, FlagKind
from rollouts.lifecycle import deeds
from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.model import Stage, State, Variation
from rollouts.lifecycle.plan import Draft
from rollouts.lifecycle.store import RolloutRow
from rollouts.metrics import service as metrics
from rollouts.metrics.model import Aggregation, Definition, Direction, Selector
from rollouts.reports import pages
from rollouts.results.store import PointRow, SnapshotRow
from rollouts.tolerances.model import Budget, Goal, Guardrail
from rollouts.web import headers, problems
from rollouts.web import pages as web_pages
from rollouts.web.access import check_caller
from tests.factories.snapshots import Body, make_points

NOW = datetime(2026, 5, 14, 10, 6, tzinfo=UTC)
PRIYA = Actor(ActorKind.PERSON, "u1", "Priya Nair", Role.ADMIN)


@dataclass
class Bell:
    """Stands where clients are told of flag changes, and counts."""

    rung: int = 0

    def refresh(self) -> None:
        """Somebody changed a flag."""
        self.rung += 1


@dataclass
class Parts:
    """The parts of a process that pages reach for."""

    db: Database
    settings: Settings
    delivery: Bell
    at: datetime = NOW

    def now(self) -> datetime:
        """The time, as the test says."""
        return self.at


def make_app(db: Database, actor: Actor = PRIYA) -> Flask:
    """An app with these pages only; every request comes from the actor."""
    app = Flask("pages", static_folder=None)
    app.extensions["rollouts"] = Parts(db, Settings(), Bell())
    problems.register(app)

    @app.before_request
    def sign_in() -> None:
        g.actor = actor

    app.before_request(check_caller)
    app.after_request(headers.harden)
    app.jinja_env.globals["csrf_token"] = lambda: "token"
    app.context_processor(lambda: {"current_user": actor})
    app.register_blueprint(web_pages.bp)
    app.register_blueprint(pages.bp)
    app.add_url_rule("/docs", "documentation.page", lambda: "")
    return app


def with_role(role: Role) -> Actor:
    """Priya with another role."""
    return replace(PRIYA, role=role)


def make_catalogue(db: Database, *, flag: str = "guided-returns") -> None:
    """Two environments, a flag, and the metrics of the story."""
    with db.transaction() as session:
        flags.ensure_defaults(session, NOW)
        flags.create_flag(
            session,
            Flag(flag, FlagKind.BOOLEAN, default=False, description="Guided steps", owner="Web"),
            actor=PRIYA,
            now=NOW,
        )
        for key, name, direction in (
            ("contacts", "Contacts per customer", Direction.DOWN),
            ("returned", "Return finished online", Direction.UP),
        ):
            definition = Definition(
                Selector(key), Aggregation.COUNT, direction, window=timedelta(days=7)
            )
            metrics.create_metric(
                session,
                key=key,
                name=name,
                description="",
                owner="Service",
                definition=definition,
                actor=PRIYA,
                now=NOW,
            )


def make_draft(key: str = "guided-returns", **over: Any) -> Draft:
    """The story's plan."""
    given = {
        "key": key,
        "name": "Guided returns",
        "hypothesis": "Guided steps let more customers finish a return online.",
        "owner": "Priya Nair",
        "flag": "guided-returns",
        "environment": "production",
        "unit": "customer_id",
        "variations": (
            Variation("old", "Old page", False, 0.5),
            Variation("new", "New page", True, 0.5),
        ),
        "control": "old",
        "ramp": tuple(Stage(share, timedelta(days=1)) for share in (0.05, 0.10, 0.25, 0.50, 1.0)),
        "goals": (Goal("returned", 0.04),),
        "guardrails": (
            Guardrail("contacts", 0.10, budget=Budget(200), reason="the queue passes 3 minutes"),
        ),
    }
    return Draft(**cast("Any", given | over))


def make_rollout(db: Database, draft: Draft, *, started: bool = True) -> None:
    """Write the plan down, and start it unless it shall stay a draft."""
    with db.transaction() as session:
        lifecycle.create(session, draft, actor=PRIYA, now=NOW)
        if started:
            deeds.start(session, draft.key, default_look_seconds=300, actor=PRIYA, now=NOW)


def keep(db: Database, key: str, body: Body, *, look: int = 12) -> None:
    """Store a snapshot of a rollout with the looks that led to it."""
    with db.transaction() as session:
        row = lifecycle.get_rollout(session, key)
        taken = datetime.fromisoformat(body["look"]["taken_at"])
        session.add(
            SnapshotRow(id=body["id"], rollout_id=row.id, look=look, taken_at=taken, body=body)
        )
        seen = session.scalar(select(func.max(PointRow.look)).where(PointRow.rollout_id == row.id))
        for point in make_points(body, looks=look):
            if point["look"] > (seen or 0):  # what was kept is never changed
                session.add(_point(row, point))


def _point(row: RolloutRow, point: Body) -> PointRow:
    held = {**point, "taken_at": datetime.fromisoformat(point["taken_at"])}
    return PointRow(rollout_id=row.id, estimate=None, low=None, high=None, **held)


def make_many(db: Database, n: int) -> None:
    """Drafts by the hundred, with names as long as they may be."""
    with db.transaction() as session:
        row = lifecycle.get_rollout(session, "guided-returns")
        for i in range(n):
            session.add(
                RolloutRow(
                    key=f"many-{i:03}",
                    name=f"{i} " + "checkout redesign with saved addresses " * 5,
                    owner="ليلى حداد",
                    flag_key=row.flag_key,
                    environment_id=row.environment_id,
                    environment_key=row.environment_key,
                    state=State.DRAFT,
                    draft=row.draft,
                    created_at=NOW,
                )
            )


def text_of(answer: Response | Any) -> str:
    """An answer's text with plain spaces, so that tests can be read."""
    return str(answer.get_data(as_text=True)).replace("\u00a0", " ")
